"""ML-KEM-768 (FIPS 203) and X-Wing over it, in plain Python: slow, not constant in time, for checking vectors only."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

Q, N, K, ETA, DU, DV = 3329, 256, 3, 2, 10, 4
LABEL = b"\\.//^\\"


def _reverse(i):
    return int(f"{i:07b}"[::-1], 2)


ZETAS = [pow(17, _reverse(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _reverse(i) + 1, Q) for i in range(128)]


def _bits(data):
    return [data[i >> 3] >> (i & 7) & 1 for i in range(8 * len(data))]


def _pack(values, width):
    number = 0
    for at, value in enumerate(values):
        number |= value << (at * width)
    return number.to_bytes(len(values) * width // 8, "little")


def _unpack(data, width):
    number = int.from_bytes(data, "little")
    return [number >> (at * width) & (1 << width) - 1 for at in range(len(data) * 8 // width)]


def _compress(values, width):
    return [((value << width) + Q // 2) // Q % (1 << width) for value in values]


def _decompress(values, width):
    return [(value * Q + (1 << width - 1)) >> width for value in values]


def _ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def _inverse(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [value * 3303 % Q for value in f]


def _times(f, g):
    out = []
    for i in range(128):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a * c + b * d * GAMMAS[i]) % Q, (a * d + b * c) % Q]
    return out


def _plus(*polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def _dot(left, right):
    return _plus(*(_times(f, g) for f, g in zip(left, right)))


def _sample(rho, j, i):
    stream, out = hashlib.shake_128(rho + bytes([j, i])).digest(3 * 1024), []
    for at in range(0, len(stream), 3):
        a, b, c = stream[at : at + 3]
        out += [value for value in (a + 256 * (b % 16), (b >> 4) + 16 * c) if value < Q]
        if len(out) >= N:
            return out[:N]
    raise ValueError("the sampling ran dry")


def _noise(seed, nonce):
    bits = _bits(hashlib.shake_256(seed + bytes([nonce])).digest(64 * ETA))
    pairs = (bits[2 * ETA * i : 2 * ETA * (i + 1)] for i in range(N))
    return [(sum(four[:ETA]) - sum(four[ETA:])) % Q for four in pairs]


def _matrix(rho):
    return [[_sample(rho, j, i) for j in range(K)] for i in range(K)]


def keygen(d, z):
    """(encapsulation key, decapsulation key) of the two seeds."""
    seed = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = seed[:32], seed[32:]
    a = _matrix(rho)
    s = [_ntt(_noise(sigma, i)) for i in range(K)]
    e = [_ntt(_noise(sigma, K + i)) for i in range(K)]
    t = [_plus(_dot(row, s), error) for row, error in zip(a, e)]
    public = b"".join(_pack(f, 12) for f in t) + rho
    secret = b"".join(_pack(f, 12) for f in s)
    return public, secret + public + hashlib.sha3_256(public).digest() + z


def check_public(public):
    """The modulus check of FIPS 203 7.2."""
    if len(public) != 1184 or any(value >= Q for value in _unpack(public[:1152], 12)):
        raise ValueError("no ML-KEM-768 public key")


def _encrypt(public, message, coins):
    t = [_unpack(public[384 * i : 384 * (i + 1)], 12) for i in range(K)]
    a = _matrix(public[1152:])
    y = [_ntt(_noise(coins, i)) for i in range(K)]
    columns = [[a[j][i] for j in range(K)] for i in range(K)]
    u = [_plus(_inverse(_dot(column, y)), _noise(coins, K + i)) for i, column in enumerate(columns)]
    v = _plus(_inverse(_dot(t, y)), _noise(coins, 2 * K), _decompress(_bits(message), 1))
    return b"".join(_pack(_compress(f, DU), DU) for f in u) + _pack(_compress(v, DV), DV)


def encapsulate(public, message):
    check_public(public)
    seed = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return seed[:32], _encrypt(public, message, seed[32:])


def decapsulate(secret, cipher):
    if len(secret) != 2400 or len(cipher) != 1088:
        raise ValueError("no ML-KEM-768 key or ciphertext")
    s, public, digest, z = secret[:1152], secret[1152:2336], secret[2336:2368], secret[2368:]
    u = [_decompress(_unpack(cipher[320 * i : 320 * (i + 1)], DU), DU) for i in range(K)]
    v = _decompress(_unpack(cipher[960:], DV), DV)
    s = [_unpack(s[384 * i : 384 * (i + 1)], 12) for i in range(K)]
    w = [(a - b) % Q for a, b in zip(v, _inverse(_dot(s, [_ntt(f) for f in u])))]
    message = _pack(_compress(w, 1), 1)
    seed = hashlib.sha3_512(message + digest).digest()
    same = hmac.compare_digest(_encrypt(public, message, seed[32:]), cipher)
    return seed[:32] if same else hashlib.shake_256(z + cipher).digest(32)


def xwing_keys(seed):
    """(decapsulation key of ML-KEM, X25519 secret, the public key of 1,216 bytes) of a 32-byte seed."""
    expanded = hashlib.shake_256(seed).digest(96)
    public, secret = keygen(expanded[:32], expanded[32:64])
    x = X25519PrivateKey.from_private_bytes(expanded[64:])
    return secret, x, public + x.public_key().public_bytes_raw()


def _combine(first, second, cipher, public):
    return hashlib.sha3_256(first + second + cipher + public + LABEL).digest()


def xwing_decapsulate(seed, enc):
    if len(enc) != 1120:
        raise ValueError("no X-Wing ciphertext")
    secret, x, public = xwing_keys(seed)
    first = decapsulate(secret, enc[:1088])
    second = x.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    return _combine(first, second, enc[1088:], public[1184:])


def xwing_encapsulate(public, coins):
    """(shared secret, ciphertext); 64 bytes of coins, random but in vectors."""
    first, cipher = encapsulate(public[:1184], coins[:32])
    x = X25519PrivateKey.from_private_bytes(coins[32:])
    enc = x.public_key().public_bytes_raw()
    second = x.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    return _combine(first, second, enc, public[1184:]), cipher + enc
