// Bench measures siemd, a floor program and whichever other agents are
// installed on the same work, one at a time, and prints one table.
//
//	go run ./bench                                  bulk to all targets, every agent found
//	go run ./bench -scenario steady -agents siemd
//	go run ./bench report results.jsonl             the tables again, as Markdown
//
// Everything that the agents send is received inside this process, over
// loopback, and every event is accounted for by its number: lost and repeated
// events are part of each result. Receiver and agent share the machine, so
// that figures of two agents compare only within one run; the share of the
// processor that others used meanwhile is in each result as well.
package main
