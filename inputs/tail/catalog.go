package tail

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// The log finds marks by key only. So that files that have vanished can be
// told and forgotten, a catalog lists the keys: in shards, each a mark of its
// own, so that a new file among ten thousand does not rewrite them all.
const shards = 256

const catalogVersion = 3 // 1 lacks known and former, 2 former

// An entry is one file in the catalog.
type entry struct {
	id   identity
	path string // where it was last seen
	open string // where the symbolic link path led; empty if it is none
	gone int64  // since when it was not, Unix nanoseconds; 0: it is there
	twin bool   // it is ours only if it turns out to be a twin
	own  bool   // it had, at some time, a name that rotated names are made of

	former   string // see file.former
	known    int64  // when it was found, Unix nanoseconds
	followed bool   // it left its name, and what had the name since then is known
}

// An identity tells a file from all others of its time.
type identity struct {
	dev, ino uint64
	birth    int64 // nanoseconds; 0 if the filesystem does not say
}

func (id identity) String() string {
	b := strconv.AppendUint(nil, id.dev, 16)
	b = append(b, ':')
	b = strconv.AppendUint(b, id.ino, 16)
	b = append(b, ':')
	return string(strconv.AppendUint(b, uint64(id.birth), 16))
}

// key names the file's own mark.
func (id identity) key() string { return "f:" + id.String() }

func (id identity) shard() int {
	h := fnv.New32a()
	h.Write([]byte(id.String()))
	return int(h.Sum32() % shards)
}

func shardKey(n int) string { return fmt.Sprintf("catalog:%02x", n) }

// startedKey is the mark that says that the first start is over.
const startedKey = "started"

// appendCatalog appends the mark of one shard.
func appendCatalog(dst []byte, entries []entry) []byte {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.id.String(), b.id.String()) })
	dst = append(dst, catalogVersion)
	for _, e := range entries {
		dst = binary.AppendUvarint(dst, e.id.dev)
		dst = binary.AppendUvarint(dst, e.id.ino)
		dst = binary.AppendUvarint(dst, uint64(e.id.birth))
		dst = binary.AppendUvarint(dst, uint64(e.gone))
		var flags byte
		if e.twin {
			flags |= 1
		}
		if e.own {
			flags |= 2
		}
		if e.followed {
			flags |= 4
		}
		dst = append(dst, flags)
		dst = binary.AppendUvarint(dst, uint64(len(e.path)))
		dst = append(dst, e.path...)
		dst = binary.AppendUvarint(dst, uint64(len(e.open)))
		dst = append(dst, e.open...)
		dst = binary.AppendUvarint(dst, uint64(e.known))
		dst = binary.AppendUvarint(dst, uint64(len(e.former)))
		dst = append(dst, e.former...)
	}
	return dst
}

// parseCatalog reads what appendCatalog wrote.
func parseCatalog(b []byte) ([]entry, error) {
	d := decoder{b: b}
	version := d.byte()
	if version < 1 || version > catalogVersion {
		return nil, errMark
	}
	var entries []entry
	for len(d.b) > 0 && !d.bad {
		var e entry
		e.id.dev = d.number(1<<64 - 1)
		e.id.ino = d.number(1<<64 - 1)
		e.id.birth = int64(d.number(1<<63 - 1))
		e.gone = int64(d.number(1 << 62))
		flags := d.byte()
		e.twin, e.own, e.followed = flags&1 != 0, flags&2 != 0, flags&4 != 0
		e.path = d.text(1 << 16)
		e.open = d.text(1 << 16)
		if version > 1 {
			e.known = int64(d.number(1 << 62))
		}
		if version > 2 {
			e.former = d.text(1 << 16)
		}
		entries = append(entries, e)
	}
	if d.bad {
		return nil, errMark
	}
	return entries, nil
}

// flushCatalog writes the shards that changed. It comes before the first
// batch of a new file, so that no file has a mark without being listed.
func (r *run) flushCatalog() {
	if len(r.dirty) == 0 {
		return
	}
	lists := make(map[int][]entry, len(r.dirty))
	for _, f := range r.files {
		if n := f.id.shard(); r.dirty[n] {
			lists[n] = append(lists[n], entry{id: f.id, path: f.path, open: f.open, gone: f.gone, twin: f.onlyTwin, own: f.wasOwn, followed: f.followed, known: f.known, former: f.former})
		}
	}
	var last *job
	for n := range r.dirty {
		var pos []byte
		if len(lists[n]) > 0 {
			pos = appendCatalog(nil, lists[n])
		}
		last = r.submitMark(nil, shardKey(n), pos)
	}
	clear(r.dirty)
	last.settled, r.settled = r.settled, nil
}

// submitMark hands over a mark without lines.
func (r *run) submitMark(f *file, key string, pos []byte) *job {
	j := &job{file: f, batch: agent.Batch{Mark: &agent.Mark{Key: key, Pos: pos}}}
	if f != nil {
		j.offset = f.offset
		j.batch.File = f.path
		f.inflight++
	}
	r.outbox = append(r.outbox, j)
	return j
}
