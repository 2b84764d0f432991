/* Linked with every application; weak, so that a link mode can give its own definition. */
#include "ukl.h"

__attribute__((weak)) long empty_call(void)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"((long)SYS_empty) : "rcx", "r11", "memory");
	return result;
}
