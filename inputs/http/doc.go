// Package http is the input that applications and other shippers post to. One
// listener speaks four dialects:
//
//	POST /v1/events                  one object, an array or lines of JSON
//	POST /services/collector/...     Splunk's HTTP Event Collector
//	POST /_bulk, /{index}/_bulk      Elasticsearch, with what its clients ask first
//	POST /v1/logs                    OTLP/HTTP as JSON
//
// A request is read to its end, and unpacked, before anything of it is taken:
// a body that breaks off takes nothing. Its events go to the log as one batch,
// and the answer that says so leaves only when the batch is on disk. While the
// log is full, or too many bodies are under way, the answer is the one that
// makes that dialect's clients come again.
package http
