// What the C library would ask a system for, which a policy does not have. Text written to a file, such as that of
// assert(), becomes a line of the host's log; whatever else needs a system fails. Without this file the module would
// import WASI, and be refused.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "allocation_policy.h"

enum { SUCCESS = 0, BAD_FILE = 8, LONGEST_LINE = 4096 };

typedef struct {
  const uint8_t *data;
  size_t length;
} piece_t;

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t file, int32_t pieces, int32_t count, int32_t written) {
  (void)file;
  static uint8_t line[LONGEST_LINE];
  const piece_t *piece = (const piece_t *)(uintptr_t)pieces;
  size_t length = 0, total = 0;
  for (int32_t n = 0; n < count; n++) {
    size_t fits = piece[n].length < sizeof line - length ? piece[n].length : sizeof line - length;
    memcpy(line + length, piece[n].data, fits);
    length += fits;
    total += piece[n].length;
  }
  while (length > 0 && line[length - 1] == '\n') length--;
  if (length > 0) {
    allocation_policy_string_t message = {line, length};
    kube_ipam_policy_log_write(KUBE_IPAM_POLICY_LOG_LEVEL_ERROR, &message);
  }
  *(size_t *)(uintptr_t)written = total;
  return SUCCESS;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t file, int64_t offset, int32_t whence, int32_t at) {
  (void)file, (void)offset, (void)whence, (void)at;
  return BAD_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t file) {
  (void)file;
  return BAD_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t file, int32_t status) {
  (void)file, (void)status;
  return BAD_FILE;
}

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) {
  (void)code;
  __builtin_trap();
}

// The bindings ask for an object file that tells the world's types; `kube-ipam policy build` tells them instead.
void __component_type_object_force_link_allocation_policy(void) {}
