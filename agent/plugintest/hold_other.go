//go:build !linux

package plugintest

// portHolder keeps a port from being given to others; it does so only on Linux.
type portHolder struct{}

func holdPort(string) portHolder { return portHolder{} }

// Close lets the port go.
func (*portHolder) Close() {}
