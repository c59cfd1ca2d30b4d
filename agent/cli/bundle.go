package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// bundle is what support needs to see, and no more.
type bundle struct {
	remote
	std streams
	now time.Time
	dir string // within the archive
	tar *tar.Writer
}

func newBundle(std streams) *cobra.Command {
	b := &bundle{std: std}
	cmd := &cobra.Command{
		Use: "support-bundle [FILE]", Short: "pack what support needs to see: no events, no secrets", Args: cobra.MaximumNArgs(1),
		Long: "support-bundle writes a .tar.gz with the version, the config with secrets hidden, doctor's findings, and, if an agent runs, its status, metrics,\n" +
			"health, log files, the last of the audit log, and the reasons of failed events without the events. Look into it before you send it.",
		Example: `  siemd support-bundle
  siemd support-bundle /tmp/siemd.tar.gz && tar tzf /tmp/siemd.tar.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			b.now = time.Now().UTC()
			b.dir = "siemd-support-" + b.now.Format("20060102-150405")
			path := b.dir + ".tar.gz"
			if len(args) == 1 {
				path = args[0]
			}
			var data bytes.Buffer
			if err := busy(std, "the bundle is packed", func() error { return b.write(cmd.Context(), &data) }); err != nil {
				return exit(exitFailure, err)
			}
			if path == "-" {
				_, err := std.out.Write(data.Bytes())
				return err
			}
			if err := writeNew(path, data.Bytes()); err != nil {
				return err
			}
			fmt.Fprintf(std.out, "%s is written: look into it before you send it\n", path)
			return nil
		},
	}
	b.flags(cmd)
	return cmd
}

func (b *bundle) write(ctx context.Context, w io.Writer) error {
	zip := gzip.NewWriter(w)
	b.tar = tar.NewWriter(zip)
	errs := []error{b.json("version.json", readVersion())}
	for path, text := range config.Redacted(b.conf) {
		name := "config/" + filepath.Base(path)
		if path != b.conf {
			name = "config/conf.d/" + filepath.Base(path)
		}
		errs = append(errs, b.file(name, []byte(text)))
	}
	d := doctor{remote: b.remote, std: b.std}
	d.examine(ctx)
	errs = append(errs, b.json("doctor.json", d.report))
	for _, part := range []struct{ name, path string }{
		{"status.json", apiPrefix + "/status"},
		{"health.json", apiPrefix + "/health"},
		{"statistics.json", apiPrefix + "/statistics"},
		{"connections.json", apiPrefix + "/connections"},
		{"wal.json", apiPrefix + "/wal"},
		{"metrics.txt", "/metrics"},
	} {
		errs = append(errs, b.file(part.name, b.ask(ctx, part.path)))
	}
	errs = append(errs, b.file("failed.jsonl", b.failed(ctx)), b.file("audit.jsonl", b.audit()))
	return errors.Join(append(errs, b.tar.Close(), zip.Close())...)
}

// ask is the agent's answer, or why there is none.
func (b *bundle) ask(ctx context.Context, path string) []byte {
	c, err := b.client()
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	resp, err := c.Open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	return data
}

// failed are the reasons of the latest failed events; the events stay here.
func (b *bundle) failed(ctx context.Context) []byte {
	var out bytes.Buffer
	_, err := b.pages(ctx, "/failed", nil, 1000, func(item json.RawMessage) error {
		var e failedEvent
		if err := json.Unmarshal(item, &e); err != nil {
			return err
		}
		e.EventID, e.Event = "", json.RawMessage("null")
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
		return nil
	})
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.Bytes()
}

// audit is the end of the audit log.
func (b *bundle) audit() []byte {
	dir, err := b.dataDir()
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	data, err := os.ReadFile(filepath.Join(dir, supervisor.AuditName))
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	const most = 1 << 20
	if len(data) > most {
		data = data[len(data)-most:]
		if at := bytes.IndexByte(data, '\n'); at >= 0 {
			data = data[at+1:]
		}
	}
	return data
}

func (b *bundle) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return b.file(name, append(data, '\n'))
}

func (b *bundle) file(name string, data []byte) error {
	h := &tar.Header{Name: b.dir + "/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: b.now, Typeflag: tar.TypeReg}
	if err := b.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := b.tar.Write(data)
	return err
}
