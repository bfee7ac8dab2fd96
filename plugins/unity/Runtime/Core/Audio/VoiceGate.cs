using System;

namespace Llia.Core
{
    /// <summary>
    /// Finds where somebody talks in a stream of samples, by loudness: opens when it exceeds the threshold, closes after a
    /// pause. What was heard shortly before it opens belongs to the speech and is kept for it.
    /// </summary>
    public sealed class VoiceGate
    {
        private const int KeptMs = 200;

        private readonly int m_sampleRateHz;
        private readonly float m_threshold;
        private readonly int m_pauseSamples;
        private readonly float[] m_kept;
        private long m_keptEnd;
        private int m_quietSamples;

        /// <param name="threshold">Root mean square, 0..1.</param>
        /// <param name="pauseMs">Quiet for so long, the speech is over.</param>
        public VoiceGate(int sampleRateHz, float threshold, int pauseMs)
        {
            m_sampleRateHz = sampleRateHz;
            m_threshold = threshold;
            m_pauseSamples = (int)((long)sampleRateHz * pauseMs / 1000);
            m_kept = new float[(int)((long)sampleRateHz * KeptMs / 1000)];
        }

        public int SampleRateHz
        {
            get { return m_sampleRateHz; }
        }

        public bool IsOpen { get; private set; }

        /// <summary>Hears a piece; true where it belongs to speech.</summary>
        /// <param name="justOpened">Speech begins: <see cref="TakeKept"/> has what came before this piece.</param>
        /// <param name="justClosed">Speech is over with this piece, which is not part of it.</param>
        public bool Hear(float[] mono, int count, out bool justOpened, out bool justClosed)
        {
            var energy = 0.0;
            for (var i = 0; i < count; i++)
            {
                energy += mono[i] * mono[i];
            }
            var loud = count > 0 && Math.Sqrt(energy / count) >= m_threshold;
            m_quietSamples = loud ? 0 : m_quietSamples + count;
            justOpened = loud && !IsOpen;
            justClosed = IsOpen && m_quietSamples > m_pauseSamples;
            IsOpen = (IsOpen || loud) && !justClosed;
            if (!IsOpen)
            {
                Keep(mono, count);
            }
            return IsOpen;
        }

        /// <summary>Takes what was kept from before the speech; returns how many samples, at most the target's length.</summary>
        public int TakeKept(float[] target)
        {
            var count = (int)Math.Min(Math.Min(m_keptEnd, m_kept.Length), target.Length);
            for (var i = 0; i < count; i++)
            {
                target[i] = m_kept[(m_keptEnd - count + i) % m_kept.Length];
            }
            m_keptEnd = 0;
            return count;
        }

        private void Keep(float[] mono, int count)
        {
            for (var i = Math.Max(0, count - m_kept.Length); i < count; i++)
            {
                m_kept[m_keptEnd++ % m_kept.Length] = mono[i];
            }
        }
    }
}
