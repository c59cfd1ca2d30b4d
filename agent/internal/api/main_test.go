package api

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// tests ends the test's own idle connections before goroutines are counted.
type tests struct{ m *testing.M }

func (t tests) Run() int {
	code := t.m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	return code
}
