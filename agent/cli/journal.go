package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// journalHandler writes text lines that begin with "<N>", the priority of
// sd-daemon(3), and have no time: journald adds its own.
type journalHandler struct {
	text slog.Handler
	out  *journalWriter
}

// journalWriter puts the priority before the line that the text handler makes.
type journalWriter struct {
	mu  sync.Mutex // held for one record
	buf bytes.Buffer
	w   io.Writer
}

func newJournalHandler(w io.Writer, opts *slog.HandlerOptions) slog.Handler {
	out := &journalWriter{w: w}
	o := *opts
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &journalHandler{text: slog.NewTextHandler(&out.buf, &o), out: out}
}

func (h *journalHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.text.Enabled(ctx, l)
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buf.Reset()
	switch {
	case r.Level >= slog.LevelError:
		h.out.buf.WriteString("<3>")
	case r.Level >= slog.LevelWarn:
		h.out.buf.WriteString("<4>")
	case r.Level >= slog.LevelInfo:
		h.out.buf.WriteString("<6>")
	default:
		h.out.buf.WriteString("<7>")
	}
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.w.Write(h.out.buf.Bytes())
	return err
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{text: h.text.WithAttrs(attrs), out: h.out}
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{text: h.text.WithGroup(name), out: h.out}
}
