# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors

# TRYST_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE if the compiler takes it without a word.
AC_DEFUN([TRYST_CFLAG], [
  AC_MSG_CHECKING([whether $CC accepts $2])
  tryst_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  CFLAGS=$tryst_save_CFLAGS
])

# TRYST_LDFLAG(VARIABLE, FLAG, [IF-YES], [IF-NO]): the same for the linker.
AC_DEFUN([TRYST_LDFLAG], [
  AC_MSG_CHECKING([whether the linker accepts $2])
  tryst_save_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"; $3], [AC_MSG_RESULT([no]); $4])
  LDFLAGS=$tryst_save_LDFLAGS
])

# TRYST_MISSING(WHAT, DEBIAN-PACKAGE): remember it, so that one error names everything at once.
AC_DEFUN([TRYST_MISSING], [
  tryst_missing="$tryst_missing
    $1"
  tryst_packages="$tryst_packages $2"
])

# TRYST_PKG(PREFIX, MODULE-AND-VERSION, DEBIAN-PACKAGE): PREFIX_CFLAGS and PREFIX_LIBS by pkg-config.
AC_DEFUN([TRYST_PKG], [
  PKG_CHECK_MODULES([$1], [$2], [], [TRYST_MISSING([$2], [$3])])
])
