// Package httpx is what outputs that speak HTTP have in common: connections
// (TLS, proxies, pools, cookies), several endpoints with failover, gzip,
// bounded reading of answers, and the way from a status code to an error word.
// An output knows its protocol's paths, headers and bodies; whether an answer
// blames an event, the endpoint or the config is decided here for the cases
// that all protocols share, and by the output for its own.
//
// Nothing that a server answers reaches an error before the secrets that were
// sent to it are masked; see [Mask].
package httpx
