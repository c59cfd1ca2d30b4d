// Package wal is the durable log between inputs and outputs.
//
// # Rules
//
// An event is acknowledged when its block has been fsynced, and readers see it
// from then on. A cursor never passes an event that its output is not finished
// with. The log is truncated only below the lowest cursor that both generations
// of the state hold. A mark, the position of an input in its source, is stored
// in the same block as the lines it covers.
//
// # Files
//
// In <data_dir>/wal a segment is a file whose name is the number of its first
// block, in 20 digits. It is a sequence of entries: the size of the block as an
// unsigned varint, as tidwall/wal frames its entries, then the block. One block
// is one tidwall entry, and the block's number is its index. ballast is a file
// of 1 MiB that is removed when the disk is full, so that the state can be saved.
// quarantine/ holds bytes that were no good block, as SEGMENT-FROM-TO, and whole
// files that hold none, by their name.
//
// # Block
//
// All fixed numbers are little endian.
//
//	 0  4  magic f5 'S' 'W' 'B'
//	 4  4  CRC-32C of the header from byte 8 on
//	 8  4  size of the header
//	12  1  version: 1
//	13  1  codec of the payload: 0 none, 1 s2, 2 zstd
//	14  2  flags: 0
//	16  8  number of the block: 1, 2, 3 ... without gaps
//	24  8  sequence number of the first event
//	32  4  number of events
//	36  4  size of the payload before compression
//	40  4  and as stored
//	44  4  CRC-32C of the payload as stored
//	48  8  when it was written, UTC nanoseconds
//	56  8  the highest block known to be fsynced at that time
//	64     fields, then the payload
//
// A field is its number (varint), the size of its value (4 bytes) and the value.
// A reader skips odd numbers that it does not know and refuses a block with even
// ones: 2 names of inputs, 3 number of events by type and severity, 4 names of the
// outputs that the events are for, 5 marks. The payload is runs of events of one
// input: count, index of the input's name, base time, size (varints), events.
// Compressed it may be several s2 blocks put together to one, or several zstd frames.
// An event is a byte of flags and severity, its two times relative to the base,
// the size of its body, then id, type and source, as offset and length if they are part of the
// body, else as they are, and the body.
//
// # State
//
// <data_dir>/state.json is {"crc32c","state"}; the checksum is that of the
// bytes of state: cursors with their counts, marks, the next sequence number
// and the block that all this includes. It is written to a temporary file,
// fsynced, and renamed to state.json.next; then state.json becomes state.json.old
// and .next becomes state.json. The newest intact one of the three counts.
//
// # Recovery
//
// Opening reads the head of each segment and every byte from the last good
// block on. What is no block at the end of the last segment is a write that was
// never acknowledged, unless the state or a later block says that it was
// fsynced. It is cut off and kept in quarantine. So is everything behind a gap of
// unwritten sectors between blocks that nobody knows to be fsynced: the disk
// writes in any order, and a mark behind the gap would claim the lines in it.
// Damage elsewhere stays in its place. A reader steps over it to the next block
// that is whole, copies the bytes to quarantine, and reports the missing
// numbers as lost. Marks of blocks that the state does not include are applied.
//
// A failed write or fsync fails everything that waits. Segments that hold
// nothing durable are removed, the last first, the one before is cut to its
// durable size, and the log goes on in a new one. A failed fsync is never tried
// again on the same bytes: the kernel would call them written.
package wal
