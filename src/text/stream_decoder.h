/* stream_decoder.h - for src/data: how far a decoded stream has come, to the byte. */
#ifndef LB_TEXT_STREAM_DECODER_H
#define LB_TEXT_STREAM_DECODER_H

#include <limbeck/tokenizer.h>

/* Bytes of the ids fed so far that have not come out yet: part of a character, a run of bytes, a
 * token. What came out and these together are where the last id ends in the text.
 * @test tests/golden/test_golden_data.c */
size_t lb__stream_decoder_held(const lb_stream_decoder *decoder);

#endif
