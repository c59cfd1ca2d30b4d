// What only a comparison needs is kept out of siemd's own modules.
module github.com/adrian207/siemd/agent/internal/intake/jsonbench

go 1.26.0

require (
	github.com/adrian207/siemd v0.0.0
	github.com/tidwall/gjson v1.10.2
	github.com/valyala/fastjson v1.6.10
)

require (
	github.com/VictoriaMetrics/metrics v1.44.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	github.com/tidwall/tinylru v1.1.0 // indirect
	github.com/tidwall/wal v1.2.1 // indirect
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace github.com/adrian207/siemd => ../../../..
