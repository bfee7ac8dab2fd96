using System;
using System.Threading;

namespace Llia.Core
{
    /// <summary>Samples from one thread to another without a lock; where it is full the newest are lost and counted.</summary>
    public sealed class SampleRing
    {
        private readonly float[] m_samples;
        private readonly int m_mask;
        private long m_written;
        private long m_read;
        private long m_lost;

        /// <param name="leastSamples">Room for at least so many.</param>
        public SampleRing(int leastSamples)
        {
            var size = 1024;
            while (size < leastSamples)
            {
                size *= 2;
            }
            m_samples = new float[size];
            m_mask = size - 1;
        }

        public int Count
        {
            get { return (int)(Volatile.Read(ref m_written) - Volatile.Read(ref m_read)); }
        }

        public long Lost
        {
            get { return Interlocked.Read(ref m_lost); }
        }

        /// <summary>Writes the mean of the channels. Only one thread writes.</summary>
        public void WriteMono(float[] interleaved, int channels)
        {
            var frames = interleaved.Length / channels;
            var written = m_written;
            var room = m_samples.Length - (int)(written - Volatile.Read(ref m_read));
            var taken = Math.Min(frames, room);
            for (var i = 0; i < taken; i++)
            {
                var sum = 0f;
                for (var channel = 0; channel < channels; channel++)
                {
                    sum += interleaved[i * channels + channel];
                }
                m_samples[(written + i) & m_mask] = sum / channels;
            }
            Volatile.Write(ref m_written, written + taken);
            if (taken < frames)
            {
                Interlocked.Add(ref m_lost, frames - taken);
            }
        }

        /// <summary>Takes up to so many; returns how many. Only one thread reads.</summary>
        public int Read(float[] target, int most)
        {
            var read = m_read;
            var count = Math.Min(most, (int)(Volatile.Read(ref m_written) - read));
            for (var i = 0; i < count; i++)
            {
                target[i] = m_samples[(read + i) & m_mask];
            }
            Volatile.Write(ref m_read, read + count);
            return count;
        }
    }
}
