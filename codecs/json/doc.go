// Package json reads and writes pieces of JSON text in place, for codecs that
// take a few members out of an event and copy the rest byte for byte.
//
// All functions expect valid JSON, as every event in the log is. They do not
// check it again. On other bytes their result is unspecified, but they end, do
// not panic and do not read beyond what they were given. Results are views
// into the argument or are appended to dst; apart from growing dst nothing
// allocates, except where a key of more than 64 bytes that holds escapes is compared.
//
// Number literals are never converted: 85.0 stays 85.0, and 9007199254740993
// keeps its last digit.
package json
