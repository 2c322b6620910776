// A disk that fails when it is told to: SQLite's way to files (a VFS) in front of the system's. For
// one test at a time, which arms it from its own thread while the store's threads use it.
#pragma once

#include <atomic>
#include <cstring>
#include <sqlite3.h>
#include <string_view>

namespace sluice::test {

struct Faults {
  static constexpr const char* kName = "faults";

  // So many syncs of the log fail from now on.
  std::atomic<int> log_syncs_that_fail{0};
  // While true what is written to the log goes nowhere.
  std::atomic<bool> log_loses_writes{false};
  std::atomic<int> file_syncs_that_fail{0};
  // Opening a file fails.
  std::atomic<bool> nothing_opens{false};
  // Writes find no room.
  std::atomic<bool> full{false};

  static Faults& get() {
    static Faults faults;
    return faults;
  }
  static void install();
};

namespace fault_vfs {

struct File {
  sqlite3_file base;
  bool log;
  // The system's file lies behind this one.
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

inline sqlite3_file* real(sqlite3_file* file) {
  return reinterpret_cast<File*>(file)->real();
}

inline bool take(std::atomic<int>& count) {
  int left = count.load();
  while (left > 0) {
    if (count.compare_exchange_weak(left, left - 1)) return true;
  }
  return false;
}

inline int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  Faults& faults = Faults::get();
  if (faults.full) return SQLITE_FULL;
  if (reinterpret_cast<File*>(file)->log && faults.log_loses_writes) return SQLITE_OK;
  return real(file)->pMethods->xWrite(real(file), bytes, size, at);
}

inline int sync(sqlite3_file* file, int flags) {
  Faults& faults = Faults::get();
  bool log = reinterpret_cast<File*>(file)->log;
  if (take(log ? faults.log_syncs_that_fail : faults.file_syncs_that_fail)) {
    return SQLITE_IOERR_FSYNC;
  }
  return real(file)->pMethods->xSync(real(file), flags);
}

inline int close(sqlite3_file* file) {
  return real(file)->pMethods->xClose(real(file));
}

inline int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  static sqlite3_io_methods methods = {
      3,
      close,
      [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
        return real(f)->pMethods->xRead(real(f), to, n, at);
      },
      write,
      [](sqlite3_file* f, sqlite3_int64 size) {
        return real(f)->pMethods->xTruncate(real(f), size);
      },
      sync,
      [](sqlite3_file* f, sqlite3_int64* size) {
        return real(f)->pMethods->xFileSize(real(f), size);
      },
      [](sqlite3_file* f, int lock) { return real(f)->pMethods->xLock(real(f), lock); },
      [](sqlite3_file* f, int lock) { return real(f)->pMethods->xUnlock(real(f), lock); },
      [](sqlite3_file* f, int* held) {
        return real(f)->pMethods->xCheckReservedLock(real(f), held);
      },
      [](sqlite3_file* f, int op, void* arg) {
        return real(f)->pMethods->xFileControl(real(f), op, arg);
      },
      [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); },
      [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); },
      [](sqlite3_file* f, int page, int size, int extend, void volatile** at) {
        return real(f)->pMethods->xShmMap(real(f), page, size, extend, at);
      },
      [](sqlite3_file* f, int at, int n, int lock) {
        return real(f)->pMethods->xShmLock(real(f), at, n, lock);
      },
      [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); },
      [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); },
      [](sqlite3_file*, sqlite3_int64, int, void** at) {
        *at = nullptr;
        return SQLITE_OK;
      },
      [](sqlite3_file*, sqlite3_int64, void*) { return SQLITE_OK; },
  };
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  auto* ours = reinterpret_cast<File*>(file);
  ours->base.pMethods = nullptr;
  ours->log = name && std::string_view(name).ends_with("-wal");
  if (Faults::get().nothing_opens) return SQLITE_CANTOPEN;
  int code = system->xOpen(system, name, ours->real(), flags, out);
  if (ours->real()->pMethods) ours->base.pMethods = &methods;
  return code;
}

}  // namespace fault_vfs

inline void Faults::install() {
  static bool installed = [] {
    static sqlite3_vfs vfs;
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    vfs = *system;
    vfs.pNext = nullptr;
    vfs.zName = kName;
    vfs.pAppData = system;
    vfs.szOsFile = static_cast<int>(sizeof(fault_vfs::File)) + system->szOsFile;
    vfs.xOpen = fault_vfs::open;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  (void)installed;
  Faults& faults = get();
  faults.log_syncs_that_fail = 0;
  faults.file_syncs_that_fail = 0;
  faults.log_loses_writes = false;
  faults.nothing_opens = false;
  faults.full = false;
}

}  // namespace sluice::test
