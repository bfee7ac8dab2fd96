using System;
using System.Threading;

namespace Llia.Core
{
    /// <summary>
    /// The avatar's echoed sound by its place on the avatar's clock, 16 kHz mono. One thread writes, the audio thread
    /// reads; there is no lock. A place that got no sound is silent.
    /// </summary>
    internal sealed class JitterBuffer
    {
        public const int RateHz = 16000;

        /// <summary>So much can wait, 4 s; a reader farther behind has lost what it did not read.</summary>
        public const int Capacity = 1 << 16;

        private const int Mask = Capacity - 1;
        private const long NewClockSamples = 10 * RateHz;

        private readonly float[] m_samples = new float[Capacity];
        private long m_end = -1;
        private int m_generation;

        /// <summary>Index after the newest sample; -1 before the first.</summary>
        public long End
        {
            get { return Volatile.Read(ref m_end); }
        }

        /// <summary>Changes when all that was written before is void: after a flush, or where the clock began anew.</summary>
        public int Generation
        {
            get { return Volatile.Read(ref m_generation); }
        }

        /// <summary>Writes float32 samples, little endian, as they came.</summary>
        public void Write(long ptsSamples, byte[] payload, int sampleCount)
        {
            var end = m_end;
            if (end < 0 || ptsSamples < end - NewClockSamples || ptsSamples > end + Capacity)
            {
                Array.Clear(m_samples, 0, Capacity);
                Interlocked.Increment(ref m_generation);
                end = ptsSamples;
            }
            for (; end < ptsSamples; end++)
            {
                m_samples[end & Mask] = 0f;
            }
            var already = (int)Math.Min(end - ptsSamples, sampleCount);
            while (already < sampleCount)
            {
                var place = (int)(end & Mask);
                var count = Math.Min(sampleCount - already, Capacity - place);
                Buffer.BlockCopy(payload, already * sizeof(float), m_samples, place * sizeof(float), count * sizeof(float));
                already += count;
                end += count;
            }
            Volatile.Write(ref m_end, end);
        }

        /// <summary>Makes all void that was written.</summary>
        public void Flush()
        {
            Interlocked.Increment(ref m_generation);
            Volatile.Write(ref m_end, -1);
        }

        /// <summary>The signal at a place between samples; the caller stays within what is there.</summary>
        public float At(double position, Sinc sinc)
        {
            var whole = (long)Math.Floor(position);
            var row = sinc.Row(position - whole);
            var first = (int)((whole - Sinc.SamplesBefore) & Mask);
            var samples = m_samples;
            var weights = sinc.Table;
            var sum = 0f;
            for (var tap = 0; tap < Sinc.Taps; tap++)
            {
                sum += samples[(first + tap) & Mask] * weights[row + tap];
            }
            return sum;
        }
    }
}
