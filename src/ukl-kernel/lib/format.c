/* Formatted text: the part of C's printf that the kernel uses, and %pS, a symbol with an offset. */
#include "lib.h"

struct output { char *to; size_t size, length; };

static void put(struct output *output, char c)
{
	if (output->length + 1 < output->size)
		output->to[output->length] = c;
	output->length++;
}

static void put_padded(struct output *output, const char *s, size_t length, size_t width, char pad, bool left)
{
	if (pad == '0' && *s == '-') {
		put(output, *s++);
		length--;
		width -= width ? 1 : 0;
	}
	for (size_t i = length; !left && i < width; i++)
		put(output, pad);
	for (size_t i = 0; i < length; i++)
		put(output, s[i]);
	for (size_t i = length; left && i < width; i++)
		put(output, ' ');
}

/* Writes the digits to the end of `buffer` (20 characters and a sign) and returns where they begin. */
static char *digits(char *end, u64 value, u32 base, bool negative)
{
	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		*--end = '-';
	return end;
}

static void put_symbol(struct output *output, u64 address)
{
	char text[32], *end = text + sizeof(text);
	u64 offset;
	const char *name = symbol_at(address, &offset);
	if (!name) {
		char *start = digits(end, address, 16, false);
		put_padded(output, start, end - start, 16, '0', false);
		return;
	}
	put_padded(output, name, strlen(name), 0, ' ', false);
	put_padded(output, "+0x", 3, 0, ' ', false);
	char *start = digits(end, offset, 16, false);
	put_padded(output, start, end - start, 0, ' ', false);
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
	struct output output = { to, size, 0 };
	for (; *format; format++) {
		if (*format != '%') {
			put(&output, *format);
			continue;
		}
		bool left = false, is_long = false;
		char pad = ' ';
		size_t width = 0;
		for (format++; *format == '-' || *format == '0'; format++) {
			left |= *format == '-';
			pad = *format == '0' ? '0' : pad;
		}
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (*format - '0');
		for (; *format == 'l' || *format == 'z'; format++)
			is_long = true;

		char text[32], *end = text + sizeof(text), *start = text;
		switch (*format) {
		case 'd': {
			long value = is_long ? va_arg(arguments, long) : va_arg(arguments, int);
			start = digits(end, value < 0 ? -(u64)value : (u64)value, 10, value < 0);
			break;
		}
		case 'u':
		case 'x': {
			u64 value = is_long ? va_arg(arguments, u64) : va_arg(arguments, u32);
			start = digits(end, value, *format == 'x' ? 16 : 10, false);
			break;
		}
		case 'p':
			if (format[1] == 'S') {
				format++;
				put_symbol(&output, va_arg(arguments, u64));
				continue;
			}
			start = digits(end, va_arg(arguments, u64), 16, false);
			width = 16;
			pad = '0';
			break;
		case 'c':
			*start = (char)va_arg(arguments, int);
			end = start + 1;
			break;
		case 's':
			start = va_arg(arguments, char *);
			end = start + strlen(start);
			break;
		default:	/* %% and what is not known */
			*start = *format;
			end = start + 1;
		}
		put_padded(&output, start, end - start, width, pad, left);
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
