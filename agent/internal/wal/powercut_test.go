package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A diskImage is an ext4 filesystem in a file, mounted.
type diskImage struct{ image, at string }

func newDiskImage(t *testing.T) *diskImage {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: a power cut needs Linux and root, to mount a filesystem that can be shut down")
	}
	needs(t, "mkfs.ext4", "mount", "umount")
	dir := t.TempDir()
	d := &diskImage{filepath.Join(dir, "image"), filepath.Join(dir, "mnt")}
	if err := os.Mkdir(d.at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 128<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no loop device can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", d.at).Run() })
	return d
}

// cut shuts the filesystem down: nothing that is not on the disk yet gets there.
func (d *diskImage) cut() error {
	f, err := os.Open(d.at)
	if err != nil {
		return err
	}
	defer f.Close()
	const shutdown, noLogFlush = 0x8004587d, uint32(2) // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	flags := noLogFlush
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); e != 0 {
		return e
	}
	return nil
}

// abort makes the filesystem read only, as an error in its metadata does.
func (d *diskImage) abort() error {
	return exec.Command("mount", "-o", "remount,abort", d.at).Run()
}

// again mounts what is on the disk.
func (d *diskImage) again(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("umount", d.at).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

// TestPowerCut cuts the power, or makes the disk read only, under a process at
// work, and goes on with what is on the disk.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	d := newDiskImage(t)
	o := newOracle(filepath.Join(d.at, "data"))
	o.troubled = true
	cuts := lives(4, 12, 300)
	t.Attr("trials", strconv.Itoa(cuts))
	for cycle := range cuts {
		how, what := d.cut, fmt.Sprint("power cut ", cycle)
		if cycle%4 == 3 {
			how, what = d.abort, fmt.Sprint("read only ", cycle)
		}
		if err := os.MkdirAll(o.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		o.cut.Store(0)
		o.life(t, what, nil, nil, func(cmd *exec.Cmd) {
			<-o.spoke
			time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
			// A real cut ends all at once. Here time goes on, and an fsync that
			// is under way while ext4 is shut down may say that it is done and is
			// not. What is acknowledged from here on does not count; what was, and
			// is only heard from here on, does.
			o.cut.Store(monotonic())
			err := how()
			if errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EOPNOTSUPP) {
				cmd.Process.Kill()
				t.Skipf("SKIPPED: this kernel cannot shut ext4 down: %v", err)
			}
			if err != nil {
				t.Error(err)
			}
			// It must live with it for a moment, and acknowledge nothing.
			time.Sleep(20 * time.Millisecond)
			cmd.Process.Kill()
		})
		if t.Failed() {
			return
		}
		d.again(t)
		o.check(t, what)
	}
	if o.errors == 0 || o.total() == 0 {
		t.Errorf("%d failures, %d events acknowledged: want some of each", o.errors, o.total())
	}
	t.Logf("%d power cuts, %d failures seen, %d events acknowledged, %d chunks of them heard of after the cut", cuts, o.errors, o.total(), o.late)
}
