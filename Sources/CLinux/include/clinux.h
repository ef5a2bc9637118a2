// The few calls that Swift cannot make itself: variadic system calls, resolver macros, fork and exec in one go.
#ifndef CLINUX_H
#define CLINUX_H
#endif
