package syslog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A tailFile keeps the window while the agent does not run: what a receiver
// acknowledged and may not have read, because the connection was broken or did
// not end in good order when the agent stopped. A nil *tailFile keeps nothing.
//
// It is one line that says whose frames they are, then each frame behind its
// length in four bytes, a length of zero, and the CRC-32C of all that.
type tailFile struct {
	path string
	head string
}

// newTailFile names the file of an output. Frames are of use only to the same
// receivers in the same framing, so the head says both.
func newTailFile(dataDir, name string, f framing, endpoints []string) *tailFile {
	if dataDir == "" {
		return nil
	}
	return &tailFile{
		path: filepath.Join(dataDir, "syslog", name+".tail"),
		head: fmt.Sprintf("siemd syslog tail 1 framing %d to %s\n", f, strings.Join(endpoints, ",")),
	}
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errOtherTail   = errors.New("it is for another receiver or framing")
	errDamagedTail = errors.New("it is damaged")
)

// load gives the frames of the file, none if there is no file.
func (t *tailFile) load() (frames [][]byte, err error) {
	if t == nil {
		return nil, nil
	}
	data, err := os.ReadFile(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(t.head))
	if !ok {
		return nil, errOtherTail
	}
	if len(rest) < 8 || crc32.Checksum(data[:len(data)-4], castagnoli) != binary.LittleEndian.Uint32(data[len(data)-4:]) {
		return nil, errDamagedTail
	}
	for {
		n := int(binary.LittleEndian.Uint32(rest))
		if rest = rest[4:]; n == 0 {
			return frames, nil
		}
		if n > len(rest)-8 {
			return nil, errDamagedTail
		}
		frames = append(frames, rest[:n])
		rest = rest[n:]
	}
}

// save writes the window durably, in place of an older one.
func (t *tailFile) save(w *window) error {
	if t == nil {
		return nil
	}
	data := []byte(t.head)
	for _, p := range w.pieces {
		from := 0
		for _, end := range p.ends {
			data = binary.LittleEndian.AppendUint32(data, uint32(int(end)-from))
			data = append(data, p.data[from:end]...)
			from = int(end)
		}
	}
	data = binary.LittleEndian.AppendUint32(data, 0)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	dir := filepath.Dir(t.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeDurably(dir, t.path, data)
}

func writeDurably(dir, path string, data []byte) error {
	f, err := os.CreateTemp(dir, ".tail-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // there is nothing left to remove once it is renamed
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove is for a window that has been sent again, or was read.
func (t *tailFile) remove() error {
	if t == nil {
		return nil
	}
	if err := os.Remove(t.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
