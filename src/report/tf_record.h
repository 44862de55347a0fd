/* tf_record.h - TensorFlow's record files and the corner of protobuf that an event needs.
 *
 *   record: u64 size, u32 masked crc of those 8 bytes, data, u32 masked crc of data; little-endian
 *   masked: rotated right by 15, plus 0xA282EAD8
 *
 * (tensorflow/core/lib/io/record_writer.h, protobuf's encoding guide.) Refuses: being a protobuf
 * library; nested messages are built inside out. */
#ifndef LB_REPORT_TF_RECORD_H
#define LB_REPORT_TF_RECORD_H

#include "base/append.h"

uint32_t lb__crc32c(const void *bytes, size_t size); /* Castagnoli's polynomial */
/* One record in one write. @test tests/unit/test_tensorboard_log.c */
lb_status lb__tf_record_write(lb__append *file, const void *data, size_t size, lb_error *err);

/* Fields of a message, appended to b. As proto3 does, a zero is not written by the first. */
void lb__proto_int(lb__buf *b, uint32_t field, int64_t value);
void lb__proto_double(lb__buf *b, uint32_t field, double value);
void lb__proto_float(lb__buf *b, uint32_t field, float value);
void lb__proto_bytes(lb__buf *b, uint32_t field, const void *bytes, size_t size);

#endif
