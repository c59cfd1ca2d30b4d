// Package wal is the durable log between inputs and outputs.
package wal
