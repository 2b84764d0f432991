/* Formatted text: the part of C's printf that the kernel uses, and %pS, a symbol with an offset. */
#include "lib.h"

struct output { char *to; size_t size, length; };

static void put(struct output *output, char c)
{
	if (output->length + 1 < output->size)
		output->to[output->length] = c;
	output->length++;
}

static void put_text(struct output *output, const char *s)
{
	while (*s)
		put(output, *s++);
}

static void put_number(struct output *output, u64 value, u32 base, size_t width, char pad)
{
	char digits[20];
	size_t count = 0;
	do
		digits[count++] = "0123456789abcdef"[value % base];
	while (value /= base);
	for (size_t i = count; i < width; i++)
		put(output, pad);
	while (count)
		put(output, digits[--count]);
}

static void put_symbol(struct output *output, u64 address)
{
	u64 offset;
	const char *name = symbol_at(address, &offset);
	if (name) {
		put_text(output, name);
		put_text(output, "+0x");
	}
	put_number(output, name ? offset : address, 16, name ? 0 : 16, '0');
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
	struct output output = { to, size, 0 };
	for (; *format; format++) {
		if (*format != '%') {
			put(&output, *format);
			continue;
		}
		char pad = *++format == '0' ? '0' : ' ';
		size_t width = 0;
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (*format - '0');
		bool is_long = *format == 'l';
		format += is_long;
		if (*format == 's') {
			put_text(&output, va_arg(arguments, char *));
		} else if (*format == 'p' && format[1] == 'S') {
			format++;
			put_symbol(&output, va_arg(arguments, u64));
		} else if (*format == 'p') {
			put_number(&output, va_arg(arguments, u64), 16, 16, '0');
		} else if (*format == 'd') {
			long value = is_long ? va_arg(arguments, long) : va_arg(arguments, int);
			if (value < 0)
				put(&output, '-');
			put_number(&output, value < 0 ? -(u64)value : (u64)value, 10, width, pad);
		} else if (*format == 'u' || *format == 'x') {
			u64 value = is_long ? va_arg(arguments, u64) : va_arg(arguments, u32);
			put_number(&output, value, *format == 'x' ? 16 : 10, width, pad);
		} else {
			put(&output, *format);	/* %% */
		}
	}
	if (size)
		to[MIN(output.length, size - 1)] = 0;
	return (int)output.length;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(to, size, format, arguments);
	va_end(arguments);
	return length;
}
