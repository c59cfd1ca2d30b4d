// Package figures measures all codecs on the same event, side by side.
package figures
