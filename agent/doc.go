// Package agent is the contract between siemd and its plugins: all that the
// author of an input, an output or a codec imports.
//
// A plugin is one package with one call of [RegisterInput] or [RegisterOutput]
// in its init, and a config struct whose yaml tags name its keys. An [Input]
// hands raw JSON lines to a [Sink] and may acknowledge its source when Emit has
// returned nil, for then they are fsynced. An [Output] gets them from the log
// as [Event] values and answers with an error word ([Permanent], [Blocked],
// [After], ...) or none. Batching, retries, filters, counters, health and the
// store of failed events are not its business.
package agent
