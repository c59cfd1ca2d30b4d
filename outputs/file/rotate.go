package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stampLayout is the end of an old file's name: sortable, in UTC.
const stampLayout = "20060102T150405.000Z"

// over reports whether n more bytes are too many for the present file.
func (o *output) over(n int) bool {
	return o.rotate.MaxSize > 0 && o.size+int64(n) > int64(o.rotate.MaxSize)
}

// due reports whether a new file must begin before the next line, of n bytes.
func (o *output) due(n int) bool {
	if o.size == 0 {
		return false
	}
	return o.over(n) || o.rotate.MaxAge > 0 && o.now().Sub(o.born) >= o.rotate.MaxAge.D()
}

// turn renames the file and begins a new one. A crash at any point leaves
// either the old file under its old name, or none, and both are fine for open.
func (o *output) turn() error {
	o.drop()
	old, err := o.oldName()
	if err != nil {
		return err
	}
	if err := os.Rename(o.path, old); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	if err := o.open(); err != nil { // syncs the directory, and with it the new name
		return err
	}
	if err := o.prune(); err != nil {
		// The events are safe; only the disk fills up.
		o.env.Log.Warn("old files could not be removed", "path", o.path, "err", err)
	}
	return nil
}

// oldName is a name that is not in use. Its time is when the file was ended.
func (o *output) oldName() (string, error) {
	for t := o.now().UTC(); ; t = t.Add(time.Millisecond) {
		name := o.path + "." + t.Format(stampLayout)
		_, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", fmt.Errorf("rotate: %w", err)
		}
	}
}

// prune removes the oldest of the old files.
func (o *output) prune() error {
	if o.rotate.Keep == 0 {
		return nil
	}
	dir, base := filepath.Split(o.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var old []string
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), base+".")
		if _, err := time.Parse(stampLayout, stamp); ok && err == nil && e.Type().IsRegular() {
			old = append(old, e.Name())
		}
	}
	slices.Sort(old)
	var errs []error
	for i := range max(len(old)-o.rotate.Keep, 0) {
		errs = append(errs, os.Remove(filepath.Join(dir, old[i])))
	}
	return errors.Join(errs...)
}

// whole reports whether text is one complete JSON object.
func whole(text []byte) bool {
	return len(text) > 1 && text[0] == '{' && json.Valid(text)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
