using System.Diagnostics;
using System.Threading;

namespace Llia.Core
{
    /// <summary>
    /// Which moment of the avatar's clock is heard now. The audio thread tells it block by block; between blocks it runs
    /// on by the system's clock. Without locks: a reader that meets a writer reads again.
    /// </summary>
    public sealed class PlayoutClock
    {
        private const double RunsOnMs = 100;
        private const double StoppedMs = 500;

        private int m_version;
        private double m_playhead;
        private long m_ticks;
        private bool m_running;

        /// <summary>Monotonic time; tests put their own in place.</summary>
        internal System.Func<long> Ticks = Stopwatch.GetTimestamp;

        /// <summary>The playhead heard now, 16 kHz samples; false while nothing plays, then show the newest picture.</summary>
        public bool TryGetPlayhead(out double playheadSamples)
        {
            while (true)
            {
                var before = Volatile.Read(ref m_version);
                var playhead = m_playhead;
                var ticks = m_ticks;
                var running = m_running;
                Thread.MemoryBarrier();
                if ((before & 1) == 0 && before == Volatile.Read(ref m_version))
                {
                    var sinceMs = (Ticks() - ticks) * 1000.0 / Stopwatch.Frequency;
                    playheadSamples = playhead + System.Math.Min(sinceMs, RunsOnMs) * JitterBuffer.RateHz / 1000;
                    return running && sinceMs < StoppedMs; // or nobody asks for sound any more
                }
            }
        }

        /// <summary>Only the audio thread calls it.</summary>
        internal void Tell(double playheadSamples, bool running)
        {
            var version = m_version;
            Volatile.Write(ref m_version, version + 1);
            Thread.MemoryBarrier();
            m_playhead = playheadSamples;
            m_ticks = Ticks();
            m_running = running;
            Volatile.Write(ref m_version, version + 2);
        }
    }
}
