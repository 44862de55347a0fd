/* byte_alphabet.h - GPT-2's way to write any byte as a printable character: bytes 21-7E, A1-AC and
 * AE-FF stand for themselves, the other 68 become U+0100, U+0101, ... in byte order (a space is
 * U+0120). Every character has one or two bytes in UTF-8. */
#ifndef LB_TEXT_BYTE_ALPHABET_H
#define LB_TEXT_BYTE_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t lb__byte_to_char(unsigned char byte);
/* The byte that a character stands for, or -1. */
int lb__char_to_byte(uint32_t c);
/* Writes the characters for size bytes; out has room for 2 * size. Returns how many bytes. */
size_t lb__bytes_to_alphabet(char *out, const char *bytes, size_t size);
/* The bytes that a token stands for; out has room for size. False when a character is outside
 * the alphabet. */
bool lb__alphabet_to_bytes(char *out, size_t *out_size, const char *token, size_t size);

#endif
