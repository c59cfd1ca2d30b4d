package wal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestUndamaged(t *testing.T) {
	for _, codec := range []string{"none", "s2", "zstd"} {
		s := newSample(t, codec, samplePuts)
		dir := fastDir(t)
		s.install(t, dir, func(map[string][]byte) {})
		r, err := Verify(dir)
		if err != nil || !r.Clean() || r.Unfinished != 0 || r.Events != s.head-1 || r.NextSeq != s.head {
			t.Errorf("%s: Verify = %+v, %v", codec, r, err)
		}
		s.survive(t, codec, dir, true, func(sampleBlock) bool { return true })
	}
}

// TestTail cuts the last segment at every offset, and fills it from every
// offset on with zeros, ones and garbage.
func TestTail(t *testing.T) {
	s := newSample(t, "s2", samplePuts)
	dir := fastDir(t)
	whole := s.files[s.tail]
	step := 7 // prime to most sizes; the long form takes every offset
	if torture {
		step = 1
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	tried := 0
	for _, kind := range []string{"cut", "zero", "ones", "garbage", "longer"} {
		for at := 0; at <= len(whole); at += step {
			s.install(t, dir, func(files map[string][]byte) {
				b := files[s.tail]
				switch kind {
				case "cut":
					files[s.tail] = b[:at]
					return
				case "longer": // than it was: what a power cut leaves of a new write
					b = append(b[:at:at], make([]byte, rnd.IntN(6000))...)
					files[s.tail] = b
				}
				for i := at; i < len(b); i++ {
					switch kind {
					case "zero":
						b[i] = 0
					case "ones":
						b[i] = 0xff
					case "garbage":
						b[i] = byte(rnd.Uint32())
					}
				}
			})
			what := fmt.Sprintf("%s from %d", kind, at)
			s.survive(t, what, dir, true, func(b sampleBlock) bool { return b.path != s.tail || b.to <= int64(at) })
			tried++
		}
	}
	t.Attr("trials", fmt.Sprint(tried))
}

// TestBitFlips flips every bit of every file.
func TestBitFlips(t *testing.T) {
	tried := 0
	for _, codec := range []string{"none", "s2"} {
		s := newSample(t, codec, []int{3, 1, 20, 2, 1, 4})
		dir := fastDir(t)
		for name, data := range s.files {
			step := 97 // some of the bits; the long form takes all
			if torture {
				step = 1
			}
			for bit := 0; bit < len(data)*8; bit += step {
				s.install(t, dir, func(files map[string][]byte) { files[name][bit/8] ^= 1 << (bit % 8) })
				s.survive(t, fmt.Sprintf("%s: bit %d of %s", codec, bit, name), dir, true, func(b sampleBlock) bool {
					return b.path != name || int64(bit/8) < b.from || int64(bit/8) >= b.to
				})
				tried++
			}
		}
	}
	t.Attr("trials", fmt.Sprint(tried))
}

func TestDamagedFiles(t *testing.T) {
	s := newSample(t, "none", append(samplePuts, 20, 9, 1, 12, 2))
	names := segmentNames(s.files)
	if len(names) < 3 {
		t.Fatalf("want at least three segments, have %v", names)
	}
	dir := fastDir(t)
	test := func(what string, whole bool, gone string, change func(files map[string][]byte)) {
		t.Run(what, func(t *testing.T) {
			s.install(t, dir, change)
			s.survive(t, what, dir, whole, func(b sampleBlock) bool { return gone == "" || b.path != gone && gone != "all" })
		})
	}
	for i, name := range names {
		test(fmt.Sprint("missing segment ", i), true, name, func(f map[string][]byte) { f[name] = nil })
		test(fmt.Sprint("empty segment ", i), true, name, func(f map[string][]byte) { f[name] = []byte{} })
		test(fmt.Sprint("zero segment ", i), true, name, func(f map[string][]byte) { clear(f[name]) })
		test(fmt.Sprint("copy above ", i), true, "", func(f map[string][]byte) { f["wal/00000000000000000777"] = slices.Clone(f[name]) })
		test(fmt.Sprint("copy below ", i), true, "", func(f map[string][]byte) {
			f["wal/00000000000000000002"] = slices.Clone(f[name])
		})
		test(fmt.Sprint("half a segment ", i), true, name, func(f map[string][]byte) { f[name] = f[name][:len(f[name])/2] })
		test(fmt.Sprint("renamed ", i), true, name, func(f map[string][]byte) {
			f["wal/00000000000000000555"], f[name] = f[name], nil
		})
		test(fmt.Sprint("missing with the state lost ", i), false, name, func(f map[string][]byte) {
			f[name], f["state.json"], f["state.json.old"] = nil, nil, nil
		})
	}
	test("all segments missing", true, "all", func(f map[string][]byte) {
		for _, name := range names {
			f[name] = nil
		}
	})
	test("strays", true, "", func(f map[string][]byte) {
		for _, name := range []string{
			"00000000000000000001.START", "00000000000000000003.END", "00000000000000000001.START.TEMP",
			"00000000000000000000", "18446744073709551615", "99999999999999999999", "x", "00000000000000000004.tmp",
		} {
			f["wal/"+name] = []byte("stray")
		}
		f["state.json.next.tmp"] = []byte("{")
	})
	test("state missing", true, "", func(f map[string][]byte) { f["state.json"], f["state.json.old"] = nil, nil })
	test("state empty", true, "", func(f map[string][]byte) { f["state.json"], f["state.json.old"] = []byte{}, []byte{} })
	test("newest state missing", true, "", func(f map[string][]byte) { f["state.json"] = nil })
	test("newest state damaged", true, "", func(f map[string][]byte) { f["state.json"] = f["state.json"][:20] })
}

// TestRepair: after it Verify is content, and nothing good is gone.
func TestRepair(t *testing.T) {
	s := newSample(t, "s2", samplePuts)
	dir := fastDir(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	names := segmentNames(s.files)
	rounds := 60
	if torture {
		rounds = 3000
	}
	for round := range rounds {
		hit, framed := map[sampleBlock]bool{}, false
		s.install(t, dir, func(f map[string][]byte) {
			for range 1 + rnd.IntN(3) {
				name := names[rnd.IntN(len(names))]
				if len(f[name]) == 0 {
					continue
				}
				at := rnd.IntN(len(f[name]))
				if f[name][at] != s.files[name][at] {
					continue // the same bit twice would be none
				}
				f[name][at] ^= 1 << rnd.IntN(8)
				for _, b := range s.blocks {
					// A frame of tidwall's can be made anew, its block is not lost.
					if frame := int64(frameSize(b)); b.path == name && int64(at) >= b.from && int64(at) < b.to {
						hit[b] = hit[b] || int64(at) >= b.from+frame
						framed = framed || int64(at) < b.from+frame
					}
				}
			}
			if rnd.IntN(4) == 0 {
				name := names[rnd.IntN(len(names))]
				f[name] = nil
				for _, b := range s.blocks {
					hit[b] = hit[b] || b.path == name
				}
			}
		})
		damaged := framed
		lost := uint64(0)
		for b, is := range hit {
			if is {
				damaged, lost = true, lost+b.last-b.first+1
			}
		}
		r, err := Repair(dir, nil)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if r.Before.Clean() == damaged {
			t.Errorf("round %d: damaged %v, Verify before: %+v", round, damaged, r.Before)
		}
		if !r.After.Clean() || r.After.LostBefore != lost || r.After.Events != s.head-1-lost {
			t.Errorf("round %d: after: %+v, want %d events lost of %d; before: %+v", round, r.After, lost, s.head-1, r.Before)
		}
		s.survive(t, fmt.Sprint("round ", round), dir, true, func(b sampleBlock) bool { return !hit[b] })
	}
}

// frameSize is how many bytes of an entry are before its block.
func frameSize(b sampleBlock) int {
	n := 1
	for len(appendFrame(nil, int(b.to-b.from)-n)) > n {
		n++
	}
	return n
}
