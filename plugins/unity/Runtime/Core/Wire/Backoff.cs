using System;

namespace Llia.Core
{
    /// <summary>Waiting times between attempts: doubled each time, with jitter so that many clients do not come at once.</summary>
    internal sealed class Backoff
    {
        private readonly int m_firstMs;
        private readonly int m_longestMs;
        private readonly Random m_random;
        private int m_nextMs;

        public Backoff(int firstMs, int longestMs, int seed)
        {
            m_firstMs = firstMs;
            m_longestMs = longestMs;
            m_random = new Random(seed);
            Reset();
        }

        public void Reset()
        {
            m_nextMs = m_firstMs;
        }

        /// <summary>The next waiting time: between half of the doubled time and all of it.</summary>
        public int NextMs()
        {
            var wholeMs = m_nextMs;
            m_nextMs = Math.Min(m_nextMs * 2, m_longestMs);
            return wholeMs / 2 + m_random.Next(wholeMs / 2 + 1);
        }
    }
}
