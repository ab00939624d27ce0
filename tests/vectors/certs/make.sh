#!/usr/bin/env bash
# Makes the certificates of this folder: what rcgen would not make. Run once with OpenSSL 3; the results are kept, so that
# the tests need no openssl. `case.pem` is the leaf alone; each breaks the profile before its issuer is asked about.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/leaf.cnf" <<'END'
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = URI:spiffe://ecowire.test/ke/cus/kemba
END
key() { openssl genpkey -quiet -algorithm "$1" "${@:3}" -out "$work/$2.key"; }
key EC ca -pkeyopt ec_paramgen_curve:P-256
key RSA rsa-ca -pkeyopt rsa_keygen_bits:2048
key EC leaf -pkeyopt ec_paramgen_curve:P-256
key RSA rsa1024 -pkeyopt rsa_keygen_bits:1024
key EC secp256k1 -pkeyopt ec_paramgen_curve:secp256k1
key ED448 ed448
for ca in ca rsa-ca; do
  openssl req -new -x509 -key "$work/$ca.key" -subj "/CN=DEV ke CA" -days 36500 -out "$work/$ca.pem"
done
# leaf NAME KEY CA ARGS...: a hundred years, so that time is never the reason.
leaf() {
  openssl req -new -key "$work/$2.key" -subj "/CN=ke\/cus\/kemba" -out "$work/request.pem"
  openssl x509 -req -in "$work/request.pem" -CA "$work/$3.pem" -CAkey "$work/$3.key" -days 36500 "${@:4}" -out "$1.pem" 2>/dev/null
}
with=(-extfile "$work/leaf.cnf")
leaf md5_signature leaf rsa-ca -md5 "${with[@]}"
leaf sha1_signature leaf ca -sha1 "${with[@]}"
leaf rsa_signature leaf rsa-ca -sha256 "${with[@]}"
leaf rsa_pss_signature leaf rsa-ca -sha256 -sigopt rsa_padding_mode:pss "${with[@]}"
leaf sha512_signature leaf ca -sha512 "${with[@]}"
leaf rsa_1024_key rsa1024 ca -sha256 "${with[@]}"
leaf secp256k1_key secp256k1 ca -sha256 "${with[@]}"
leaf ed448_key ed448 ca -sha256 "${with[@]}"
leaf version_1 leaf ca -sha256
leaf negative_serial leaf ca -sha256 -set_serial -5 "${with[@]}"
