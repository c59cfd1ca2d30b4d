// Package delivery takes events from the log to one output and accounts for
// each of them. A Runner reads blocks ahead, filters, forms batches, keeps a few
// Writes in flight and moves the output's cursor over the lowest unbroken prefix
// of events that it is finished with. What an output answers is given one of the
// words of package agent, and this package knows what follows from each word:
// the same again later, halves, or the failed store, which is here too.
//
// For every output accepted = sent + failed + filtered + expired + pending.
// Each event is in exactly one of these states, and a crash may make it pending
// again but never nothing.
package delivery
