package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/plugintest"
)

func newSink(std streams) *cobra.Command {
	var listen, fault, transport, token string
	var quiet, useTLS, ack, asJSON bool
	cmd := &cobra.Command{
		Use:   "sink " + strings.Join(plugintest.Kinds(), "|"),
		Short: "a mock SIEM that behaves, or misbehaves on demand",
		Long: "sink listens as the SIEM would, is strict about its protocol, and prints what it takes, one event a line.\n" +
			"It ends with Ctrl-C and then prints what it has seen.\n\nFaults are " + plugintest.FaultHelp,
		Example: `  siemd sink splunk --listen 127.0.0.1:8088 --token T0K
  siemd sink elastic --listen 127.0.0.1:9200 --fault 'item=429:10%,slow=20ms'
  siemd sink syslog --listen 127.0.0.1:6514 --transport tls`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := plugintest.Options{Token: token, Transport: transport, TLS: useTLS, Ack: ack, Fault: fault, Light: quiet}
			if !quiet {
				o.OnEvent = func(r plugintest.Received) { fmt.Fprintf(std.out, "%s\n", r.Payload) }
			}
			r, err := plugintest.New(args[0], o)
			if err != nil {
				return err
			}
			if err := r.Start(listen); err != nil {
				return exit(exitCannotMake, err)
			}
			fmt.Fprintf(std.err, "siemd: mock %s listens on %s\n", r.Kind(), r.URL())
			<-cmd.Context().Done()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = r.Close(ctx) // what is still open is cut
			s := r.Stats()
			if asJSON {
				return json.NewEncoder(std.out).Encode(s)
			}
			fmt.Fprintf(std.err, "siemd: %d events, %d distinct, %d repeats, %d refused, %d malformed, in %d requests\n",
				s.Events, s.Distinct, s.Repeats, s.Refused, s.Malformed, s.Requests)
			if why := r.LastMalformed(); why != "" {
				fmt.Fprintf(std.err, "siemd: last breach of the protocol: %s\n", why)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:0", "address")
	f.StringVar(&fault, "fault", "", "how to misbehave")
	f.StringVar(&token, "token", "", "the only token to take; empty: any")
	f.StringVar(&transport, "transport", "tcp", "syslog, cef, leef: udp, tcp or tls")
	f.BoolVar(&useTLS, "tls", false, "serve TLS with a certificate made on the spot")
	f.BoolVar(&ack, "ack", false, "splunk: with indexer acknowledgement")
	f.BoolVarP(&quiet, "quiet", "q", false, "only count")
	f.BoolVar(&asJSON, "json", false, "print the counts as JSON at the end")
	return cmd
}
