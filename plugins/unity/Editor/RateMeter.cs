using UnityEditor;

namespace Llia.Editor
{
    /// <summary>How fast a count grows, over about a second.</summary>
    internal sealed class RateMeter
    {
        private double m_sinceS;
        private long m_since;
        private double m_rate;

        public double PerSecond(long count)
        {
            var nowS = EditorApplication.timeSinceStartup;
            if (count < m_since || nowS - m_sinceS > 5)
            {
                m_since = count;
                m_sinceS = nowS;
            }
            else if (nowS - m_sinceS >= 1)
            {
                m_rate = (count - m_since) / (nowS - m_sinceS);
                m_since = count;
                m_sinceS = nowS;
            }
            return m_rate;
        }
    }
}
