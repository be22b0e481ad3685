// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every argument that PIN_ARGS must accept, one row each: what the call is
 * given besides, and how it is seen which of two values it took.
 *
 * A call that the headers do not know for this ABI is not one that it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "gates.h"

#define CSTRING	SECCOMP_PIN_CSTRING
#define FIXED	SECCOMP_PIN_FIXED
#define ARRAY	SECCOMP_PIN_CSTRING_ARRAY

/* ---- values: the two halves, and where a page may divide them ---- */

#define HEAD	48	/* no word that is read at once reaches from what differs to the gate */
#define FILL	"/////////////////////////////////////////////"
#define DASHES	"--------------------------------------------"

static const struct value path = {
	.head = HEAD, .tail = sizeof("none/x"),
	.a_head = "dir" FILL, .a_tail = "none/x",
	.b_head = "fil" FILL, .b_tail = "loop/x",
};

static const struct value xattr = {
	.head = HEAD, .tail = sizeof("none"),
	.a_head = "trusted." "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", .a_tail = "none",
	.b_head = "nowhere." "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", .b_tail = "have",
};

static const struct value data = {
	.head = HEAD, .tail = 8,
	.a_head = "good" DASHES, .a_tail = "good----",
	.b_head = "evil" DASHES, .b_tail = "evil----",
};

static const struct value name = {
	.head = 4, .tail = 1, .a_head = "good", .a_tail = "", .b_head = "evil", .b_tail = "",
};

static const struct value fstype = {
	.head = 5, .tail = 1, .a_head = "tmpfs", .a_tail = "", .b_head = "nosfs", .b_tail = "",
};

/* struct sockaddr_un with the path from above */
#define UN	"\x01\x00"
_Static_assert(AF_UNIX == 1, "address family");
static const struct value address = {
	.head = 2 + HEAD, .tail = sizeof("none/x"),
	.a_head = UN "dir" FILL, .a_tail = "none/x",
	.b_head = UN "fil" FILL, .b_tail = "loop/x",
};
#define ADDRESS_SIZE	(2 + HEAD + sizeof("none/x"))

#define WORDS(type, ...)	(const char *)(const type[]){ __VA_ARGS__ }

/* struct open_how: plainly; refused at once; and refused to begin at the root */
static const struct value how = {
	.head = 16, .tail = 8,
	.a_head = WORDS(uint64_t, O_RDONLY, 0), .a_tail = WORDS(uint64_t, 0),
	.b_head = WORDS(uint64_t, ~0ull, 0), .b_tail = WORDS(uint64_t, 8 /* RESOLVE_BENEATH */),
};

static const struct value timeout = {
	.head = 8, .tail = 8,
	.a_head = WORDS(uint64_t, 7), .a_tail = WORDS(uint64_t, 100000),
	.b_head = WORDS(uint64_t, 9), .b_tail = WORDS(uint64_t, 200000),
};

static const struct value old_timeout = {
	.head = sizeof(long), .tail = sizeof(long),
	.a_head = WORDS(long, 7), .a_tail = WORDS(long, 100000),
	.b_head = WORDS(long, 9), .b_tail = WORDS(long, 200000),
};

static const struct value linger_value = {
	.head = 4, .tail = 4,
	.a_head = WORDS(int, 1), .a_tail = WORDS(int, 7),
	.b_head = WORDS(int, 1), .b_tail = WORDS(int, 9),
};

static const struct value device = {
	.head = 4, .tail = 4,
	.a_head = "lo\0", .a_tail = "\0\0\0", .b_head = "\0\0\0", .b_tail = "\0\0\0",
};

/* ---- what else calls are given ---- */

#define L(what)	((long)(what))

static char room[PAGE];		/* for what they write */
static char *echo_argv[] = { ECHO_ENV, NULL };
static struct { uint64_t value; uint32_t size, flags; } set_args, get_args;

/* The offset of a file's second page less the head: its two halves are two pages of the file. */
#if defined(__arm__)
#define WRITE_AT	0, PAGE - HEAD, 0
#else
#define WRITE_AT	PAGE - HEAD, 0, 0
#endif

#define CALL(name, s, k)	.call = #name, .note = "", .nr = __NR_##name, .slot = s, .kind = k

/* Seen by the error: see objects_init(). */
#define PATH_ON(what, name, s, ...) { CALL(name, s, CSTRING), .args = { __VA_ARGS__ },	\
	.on = what, .value = &path, .look = look_at_code, .codes = { ENOENT, ENOTDIR, ELOOP } },
#define PATH(name, s, ...)	PATH_ON(NOTHING, name, s, __VA_ARGS__)
/* A is an attribute that is not there, B of no kind, and torn it is one that is there. */
#define NAME(name, s, ...) { CALL(name, s, CSTRING), .args = { __VA_ARGS__ }, .on = FILES, \
	.value = &xattr, .look = look_at_code, .codes = { ENODATA, EOPNOTSUPP, 0 } },
#define STRINGS(name, s, ...) { CALL(name, s, ARRAY), .args = { __VA_ARGS__ },	\
	.on = PIPES, .look = look_at_echo },
#define ADDRESS(name, s, ...) { CALL(name, s, FIXED), .args = { __VA_ARGS__ }, .on = DGRAM, \
	.value = &address, .look = look_at_code, .codes = { ENOENT, ENOTDIR, ELOOP } },
#define DATA(name, what, ...) { CALL(name, 1, FIXED), .args = { FD, 0, HEAD + 8, __VA_ARGS__ }, \
	.on = what, .value = &data, .look = look_at_peer },

#define OPT(text, what, level, opt, size)	.call = "setsockopt", .note = text,	\
	.nr = __NR_setsockopt, .slot = 3, .kind = FIXED, .on = what,		\
	.args = { FD, level, opt, 0, size }
/* An int; what getsockopt() gives afterwards is `times` as much. */
#define OPTION(what, level, opt, a, b, times) { OPT(#opt, what, level, opt, 4), .whole = true,	\
	.value = &(const struct value){ .head = 4, .a_head = WORDS(int, a), .b_head = WORDS(int, b), \
					.a_tail = "", .b_tail = "" },	\
	.look = look_at_option, .codes = { (a) * (times), (b) * (times) } },
#define OPTION_BYTES(what, level, opt, bytes, size, once) { OPT(#opt, what, level, opt, size), \
	.whole = once, .value = &bytes, .look = look_at_option_bytes },

#define CWD	AT_FDCWD
/* asm-generic/socket.h; the C library has one name for both */
enum { RCVTIMEO_OLD = 20, SNDTIMEO_OLD = 21, RCVTIMEO_NEW = 66, SNDTIMEO_NEW = 67 };
#define ATTR	L("trusted.x")

const struct row rows[] = {
	PATH(openat, 1, CWD, 0, O_RDONLY)
	PATH(openat2, 1, CWD, 0, L(room), 24)
	{ CALL(openat2, 2, FIXED), .args = { CWD, L("/tmp/gates/fil"), 0, 24 },
	  .value = &how, .look = look_at_code, .codes = { 0, EINVAL, EXDEV } },
	PATH(statx, 1, CWD, 0, 0, 0, L(room))
	PATH(faccessat, 1, CWD, 0, 0)
	PATH(faccessat2, 1, CWD, 0, 0, 0)
	PATH(mkdirat, 1, CWD, 0, 0700)
	PATH(unlinkat, 1, CWD, 0, 0)
#ifdef __NR_renameat
	PATH(renameat, 1, CWD, 0, CWD, L("made"))
	PATH(renameat, 3, CWD, L("fil"), CWD, 0)
#endif
	PATH(renameat2, 1, CWD, 0, CWD, L("made"), 0)
	PATH(renameat2, 3, CWD, L("fil"), CWD, 0, 0)
	PATH(linkat, 1, CWD, 0, CWD, L("made"), 0)
	PATH(linkat, 3, CWD, L("fil"), CWD, 0, 0)
	{ CALL(symlinkat, 0, CSTRING), .args = { 0, CWD, L("made") },
	  .value = &path, .look = look_at_link },
	PATH(symlinkat, 2, L("fil"), CWD, 0)
	PATH(mknodat, 1, CWD, 0, S_IFREG | 0600, 0)
	PATH(readlinkat, 1, CWD, 0, L(room), sizeof(room))
	PATH(fchmodat, 1, CWD, 0, 0600)
#ifdef __NR_fchmodat2
	PATH(fchmodat2, 1, CWD, 0, 0600, 0)
#endif
	PATH(fchownat, 1, CWD, 0, 0, 0, 0)
	PATH(truncate, 0, 0, 0)
	PATH(statfs, 0, 0, L(room))
	PATH(chdir, 0, 0)
	PATH(chroot, 0, 0)
	PATH(utimensat, 1, CWD, 0, 0, 0)
	PATH(setxattr, 0, 0, ATTR, L(room), 1, 0)
	NAME(setxattr, 1, L("fil"), 0, L(room), 1, XATTR_REPLACE)
	PATH(lsetxattr, 0, 0, ATTR, L(room), 1, 0)
	NAME(lsetxattr, 1, L("fil"), 0, L(room), 1, XATTR_REPLACE)
	NAME(fsetxattr, 1, FD, 0, L(room), 1, XATTR_REPLACE)
	PATH(getxattr, 0, 0, ATTR, L(room), sizeof(room))
	NAME(getxattr, 1, L("fil"), 0, L(room), sizeof(room))
	PATH(lgetxattr, 0, 0, ATTR, L(room), sizeof(room))
	NAME(lgetxattr, 1, L("fil"), 0, L(room), sizeof(room))
	NAME(fgetxattr, 1, FD, 0, L(room), sizeof(room))
	PATH(listxattr, 0, 0, L(room), sizeof(room))
	PATH(llistxattr, 0, 0, L(room), sizeof(room))
	PATH(removexattr, 0, 0, ATTR)
	NAME(removexattr, 1, L("fil"), 0)
	PATH(lremovexattr, 0, 0, ATTR)
	NAME(lremovexattr, 1, L("fil"), 0)
	NAME(fremovexattr, 1, FD, 0)
#ifdef __NR_setxattrat
	PATH(setxattrat, 1, CWD, 0, 0, ATTR, L(&set_args), sizeof(set_args))
	NAME(setxattrat, 3, CWD, L("fil"), 0, 0, L(&set_args), sizeof(set_args))
	PATH(getxattrat, 1, CWD, 0, 0, ATTR, L(&get_args), sizeof(get_args))
	NAME(getxattrat, 3, CWD, L("fil"), 0, 0, L(&get_args), sizeof(get_args))
	PATH(listxattrat, 1, CWD, 0, 0, L(room), sizeof(room))
	PATH(removexattrat, 1, CWD, 0, 0, ATTR)
	NAME(removexattrat, 3, CWD, L("fil"), 0, 0)
#endif
	PATH(name_to_handle_at, 1, CWD, 0, L(room), L(room), 0)
	PATH_ON(INOTIFY, inotify_add_watch, 1, FD, 0, IN_ACCESS)
	/* The kernel measures these two strings before it copies them, so no page tears them. */
	{ CALL(mount, 0, CSTRING), .args = { 0, L("mnt"), L("tmpfs"), 0, 0 }, .whole = true,
	  .value = &name, .look = look_at_mount },
	PATH(mount, 1, L("none"), 0, L("tmpfs"), 0, 0)
	{ CALL(mount, 2, CSTRING), .args = { L("none"), L("mnt"), 0, 0, 0 }, .whole = true,
	  .value = &fstype, .look = look_at_code, .codes = { 0, ENODEV } },
	PATH(umount2, 0, 0, 0)
	PATH(execve, 0, 0, L(echo_argv), 0)
	STRINGS(execve, 1, L("/proc/self/exe"), 0, 0)
	STRINGS(execve, 2, L("/proc/self/exe"), L(echo_argv), 0)
	PATH(execveat, 1, CWD, 0, L(echo_argv), 0, 0)
	STRINGS(execveat, 2, CWD, L("/proc/self/exe"), 0, 0, 0)
	STRINGS(execveat, 3, CWD, L("/proc/self/exe"), L(echo_argv), 0, 0)
	ADDRESS(bind, 1, FD, 0, ADDRESS_SIZE)
	ADDRESS(connect, 1, FD, 0, ADDRESS_SIZE)
	ADDRESS(sendto, 4, FD, L(room), 1, MSG_DONTWAIT, 0, ADDRESS_SIZE)
	DATA(sendto, STREAM, 0, 0, 0)
	DATA(write, PIPES, 0)
	DATA(pwrite64, FILES, WRITE_AT)
#ifdef __NR_open
	PATH(open, 0, 0, O_RDONLY)
	PATH(creat, 0, 0, 0600)
	PATH(stat, 0, 0, L(room))
	PATH(lstat, 0, 0, L(room))
	PATH(access, 0, 0, 0)
	PATH(mkdir, 0, 0, 0700)
	PATH(rmdir, 0, 0)
	PATH(unlink, 0, 0)
	PATH(rename, 0, 0, L("made"))
	PATH(rename, 1, L("fil"), 0)
	PATH(link, 0, 0, L("made"))
	PATH(link, 1, L("fil"), 0)
	{ CALL(symlink, 0, CSTRING), .args = { 0, L("made") },
	  .value = &path, .look = look_at_link },
	PATH(symlink, 1, L("fil"), 0)
	PATH(mknod, 0, 0, S_IFREG | 0600, 0)
	PATH(readlink, 0, 0, L(room), sizeof(room))
	PATH(chmod, 0, 0, 0600)
	PATH(chown, 0, 0, 0, 0)
	PATH(lchown, 0, 0, 0, 0)
	PATH(utimes, 0, 0, 0)
	PATH(futimesat, 1, CWD, 0, 0)
#endif
#ifdef __NR_utime
	PATH(utime, 0, 0, 0)
#endif
#ifdef __NR_newfstatat
	PATH(newfstatat, 1, CWD, 0, L(room), 0)
#endif
#ifdef __NR_stat64
	PATH(stat64, 0, 0, L(room))
	PATH(lstat64, 0, 0, L(room))
#endif
#ifdef __NR_fstatat64
	PATH(fstatat64, 1, CWD, 0, L(room), 0)
#endif
#ifdef __NR_truncate64
	PATH(truncate64, 0, 0, 0, 0, 0)
#endif
#ifdef __NR_statfs64
	PATH(statfs64, 0, 0, 84 /* struct compat_statfs64, packed */, L(room))
#endif
#ifdef __NR_chown32
	PATH(chown32, 0, 0, 0, 0)
	PATH(lchown32, 0, 0, 0, 0)
#endif
#ifdef __NR_utimensat_time64
	PATH(utimensat_time64, 1, CWD, 0, 0, 0)
#endif
#ifdef __NR_oldstat
	PATH(oldstat, 0, 0, L(room))
	PATH(oldlstat, 0, 0, L(room))
#endif
#ifdef __NR_umount
	PATH(umount, 0, 0)
#endif
	OPTION(TCP, SOL_SOCKET, SO_REUSEADDR, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_REUSEPORT, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_KEEPALIVE, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_BROADCAST, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_DONTROUTE, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_OOBINLINE, 1, 0, 1)
	OPTION(TCP, SOL_SOCKET, SO_PRIORITY, 3, 4, 1)
	OPTION(TCP, SOL_SOCKET, SO_MARK, 3, 4, 1)
	OPTION(TCP, SOL_SOCKET, SO_SNDBUF, 8000, 16000, 2)
	OPTION(TCP, SOL_SOCKET, SO_RCVBUF, 8000, 16000, 2)
	OPTION(TCP, SOL_SOCKET, SO_RCVLOWAT, 3, 4, 1)
	OPTION(STREAM, SOL_SOCKET, SO_PASSCRED, 1, 0, 1)
	OPTION_BYTES(TCP, SOL_SOCKET, SO_LINGER, linger_value, 8, true)
	OPTION_BYTES(TCP, SOL_SOCKET, RCVTIMEO_OLD, old_timeout, 2 * sizeof(long), true)
	OPTION_BYTES(TCP, SOL_SOCKET, SNDTIMEO_OLD, old_timeout, 2 * sizeof(long), true)
	OPTION_BYTES(TCP, SOL_SOCKET, RCVTIMEO_NEW, timeout, 16, false)
	OPTION_BYTES(TCP, SOL_SOCKET, SNDTIMEO_NEW, timeout, 16, false)
	OPTION_BYTES(TCP, SOL_SOCKET, SO_BINDTODEVICE, device, 8, true)
	OPTION(TCP, IPPROTO_IP, IP_TOS, 4, 8, 1)
	OPTION(TCP, IPPROTO_IP, IP_TTL, 4, 8, 1)
	OPTION(TCP, IPPROTO_IP, IP_RECVERR, 1, 0, 1)
	OPTION(TCP, IPPROTO_IP, IP_MTU_DISCOVER, 0, 1, 1)
	OPTION(UDP, IPPROTO_IP, IP_MULTICAST_TTL, 4, 8, 1)
	OPTION(UDP, IPPROTO_IP, IP_MULTICAST_LOOP, 0, 1, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_NODELAY, 1, 0, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_CORK, 1, 0, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_KEEPIDLE, 4, 8, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_KEEPINTVL, 4, 8, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_KEEPCNT, 4, 8, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_SYNCNT, 4, 8, 1)
	OPTION(TCP, IPPROTO_TCP, TCP_USER_TIMEOUT, 4, 8, 1)
};

const size_t nr_rows = sizeof(rows) / sizeof(rows[0]);

void rows_init(void)
{
	get_args.value = set_args.value = (uintptr_t)room;
	set_args.size = 1;
	set_args.flags = XATTR_REPLACE;
	get_args.size = sizeof(room);
}
