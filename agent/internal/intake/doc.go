// Package intake stands between the inputs and the log. A line comes in as raw
// bytes and leaves as an event: it is checked in one pass that also finds the
// members siemd looks at, mended where the contract says so (invalid UTF-8,
// duplicate keys, line breaks between tokens), given an id and a time, and put
// into a chunk of the log. A line that cannot become an event is kept, with its
// reason, in the store of refused lines, and is on disk there before the batch
// that it came with is acknowledged.
//
// The usual line needs no mending and is copied once, from the input's buffer
// into the chunk; nothing is allocated for it.
package intake
