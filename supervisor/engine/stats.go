package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// Stats is what a container uses, in Home Assistant's words.
type Stats struct {
	CPUPercent    float64 `json:"cpu_percent"`  // of all CPUs together, over the second before
	MemoryUsage   uint64  `json:"memory_usage"` // bytes, without file cache that the kernel can drop
	MemoryLimit   uint64  `json:"memory_limit"`
	MemoryPercent float64 `json:"memory_percent"`
	NetworkRx     uint64  `json:"network_rx"` // bytes since start, as the next three
	NetworkTx     uint64  `json:"network_tx"`
	BlkRead       uint64  `json:"blk_read"`
	BlkWrite      uint64  `json:"blk_write"`
}

// maxStatsBytes is far above what an engine says of a host with hundreds of CPUs and disks.
const maxStatsBytes = 4 << 20

// Stats measures a container of this appliance. It takes a second or two, because the engine looks twice to know what
// the CPUs did between. A stopped container uses nothing.
func (e *Engine) Stats(ctx context.Context, id string) (Stats, error) {
	var out Stats
	err := e.call(ctx, e.cfg.CallTimeout, "measure container "+short(id), func(ctx context.Context, cli *client.Client) error {
		r, err := e.newest(ctx, cli, id)
		if err != nil || !r.State.Running {
			return err
		}
		answer, err := cli.ContainerStats(ctx, r.ID, false)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		var s container.StatsResponse
		if err := json.NewDecoder(io.LimitReader(answer.Body, maxStatsBytes)).Decode(&s); err != nil {
			return fmt.Errorf("cannot read the engine's figures: %w", err)
		}
		out = statsOf(s)
		return nil
	})
	return out, err
}

// statsOf works the figures out. Control groups of version 1 and 2 name the droppable cache differently, and version 2
// writes the operations on disks in small letters.
func statsOf(s container.StatsResponse) Stats {
	out := Stats{MemoryLimit: s.MemoryStats.Limit, MemoryUsage: s.MemoryStats.Usage}
	used, total := s.CPUStats.CPUUsage.TotalUsage, s.CPUStats.SystemUsage
	usedBefore, totalBefore := s.PreCPUStats.CPUUsage.TotalUsage, s.PreCPUStats.SystemUsage
	if totalBefore > 0 && total > totalBefore && used > usedBefore {
		out.CPUPercent = percent(used-usedBefore, total-totalBefore)
	}
	cache, ok := s.MemoryStats.Stats["total_inactive_file"] // version 1
	if !ok {
		cache = s.MemoryStats.Stats["inactive_file"]
	}
	out.MemoryUsage -= min(cache, out.MemoryUsage)
	if out.MemoryLimit > 0 {
		out.MemoryPercent = percent(out.MemoryUsage, out.MemoryLimit)
	}
	for _, n := range s.Networks {
		out.NetworkRx += n.RxBytes
		out.NetworkTx += n.TxBytes
	}
	for _, b := range s.BlkioStats.IoServiceBytesRecursive {
		switch b.Op {
		case "Read", "read":
			out.BlkRead += b.Value
		case "Write", "write":
			out.BlkWrite += b.Value
		}
	}
	return out
}

// percent has two decimals.
func percent(part, whole uint64) float64 {
	return math.Round(float64(part)/float64(whole)*10000) / 100
}
