using System;

namespace Llia.Core
{
    /// <summary>Mono samples by their index in the utterance, from the first one still kept on. Grows up to a bound.</summary>
    internal sealed class SampleQueue
    {
        private float[] m_ring;
        private long m_start;
        private long m_end;

        public SampleQueue()
        {
            m_ring = new float[4096];
        }

        /// <summary>All samples are here; they are not copied.</summary>
        public SampleQueue(float[] whole)
        {
            m_ring = whole;
            m_end = whole.Length;
        }

        /// <summary>Index after the newest sample.</summary>
        public long End
        {
            get { return m_end; }
        }

        public void Append(float[] samples, int offset, int count)
        {
            Reserve(count);
            for (var done = 0; done < count;)
            {
                var place = (int)(m_end % m_ring.Length);
                var run = Math.Min(count - done, m_ring.Length - place);
                Array.Copy(samples, offset + done, m_ring, place, run);
                done += run;
                m_end += run;
            }
        }

        /// <summary>Copies samples as float32, little endian.</summary>
        public void CopyTo(long index, byte[] target, int count)
        {
            for (var done = 0; done < count;)
            {
                var place = (int)((index + done) % m_ring.Length);
                var run = Math.Min(count - done, m_ring.Length - place);
                Buffer.BlockCopy(m_ring, place * sizeof(float), target, done * sizeof(float), run * sizeof(float));
                done += run;
            }
        }

        /// <summary>Samples before this index are needed no more.</summary>
        public void Release(long index)
        {
            m_start = Math.Max(m_start, index);
        }

        private void Reserve(int count)
        {
            var needed = m_end - m_start + count;
            if (needed <= m_ring.Length)
            {
                return;
            }
            var larger = new float[Math.Max(needed, 2L * m_ring.Length)];
            for (var index = m_start; index < m_end; index++)
            {
                larger[index % larger.Length] = m_ring[index % m_ring.Length];
            }
            m_ring = larger;
        }
    }
}
