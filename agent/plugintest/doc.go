// Package plugintest has what plugins are tried against: mock SIEMs that are
// strict about their protocol and misbehave on command, a generator of events,
// a log in memory, and the checks that every input and output must pass.
//
// The mocks are written from the protocols' own documents and share no code
// with siemd's codecs, so that a mistake in one is not excused by the other.
// They serve tests, `siemd demo` and `siemd sink` alike:
//
//	r, err := plugintest.New("splunk", plugintest.Options{Token: "T0K"})
//	err = r.Start("127.0.0.1:0")
//	defer r.Close(ctx)
//	... an output posts to r.URL() ...
//	r.SetFault("503:20%,slow=50ms")
//	r.Stats().Distinct
package plugintest
