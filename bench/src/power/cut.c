// cut FOLDER FLAGS: cuts the file system that FOLDER lies on, as a power cut would (EXT4_IOC_SHUTDOWN). Flags: 1 writes the
// journal first, 2 does not.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int count, char **words) {
  if (count != 3) return 2;
  uint32_t flags = (uint32_t)atoi(words[2]);
  int folder = open(words[1], O_RDONLY);
  if (folder < 0 || ioctl(folder, _IOR('X', 125, uint32_t), &flags)) {
    perror(words[1]);
    return 1;
  }
  return 0;
}
