using System;
using System.Threading;

namespace Llia.Core
{
    /// <summary>
    /// Sound of an utterance that is wholly here: played from here at its own rate, where the echo would be 16 kHz. The
    /// daemon feeds a complete utterance without a gap, so that its first sample's place on the clock gives all others'.
    /// </summary>
    internal sealed class OwnVoice
    {
        private const long Unknown = long.MinValue;

        private readonly float[] m_samples;
        private readonly double m_perClockSample;
        private readonly Sinc m_sinc;
        private readonly double m_lengthSamples;
        private long m_startSamples = Unknown;

        public OwnVoice(string utteranceId, float[] mono, int sampleRateHz, int outputRateHz)
        {
            UtteranceId = utteranceId;
            m_samples = mono;
            m_perClockSample = (double)sampleRateHz / JitterBuffer.RateHz;
            m_sinc = new Sinc(sampleRateHz, outputRateHz);
            m_lengthSamples = mono.Length / m_perClockSample;
        }

        public string UtteranceId { get; private set; }

        /// <summary>The daemon has told where it begins on the avatar's clock, 16 kHz samples.</summary>
        public void StartAt(long ptsSamples)
        {
            Volatile.Write(ref m_startSamples, ptsSamples);
        }

        public bool IsStarted
        {
            get { return Volatile.Read(ref m_startSamples) != Unknown; }
        }

        public bool Covers(double playhead)
        {
            var start = Volatile.Read(ref m_startSamples);
            return start != Unknown && playhead >= start && playhead < start + m_lengthSamples;
        }

        public bool IsOver(double playhead)
        {
            var start = Volatile.Read(ref m_startSamples);
            return start != Unknown && playhead >= start + m_lengthSamples;
        }

        public float At(double playhead)
        {
            var position = (playhead - Volatile.Read(ref m_startSamples)) * m_perClockSample;
            var whole = (int)Math.Floor(position);
            var row = m_sinc.Row(position - whole);
            var first = whole - Sinc.SamplesBefore;
            var from = Math.Max(0, -first);
            var to = Math.Min(Sinc.Taps, m_samples.Length - first);
            var samples = m_samples;
            var weights = m_sinc.Table;
            var sum = 0f;
            for (var tap = from; tap < to; tap++)
            {
                sum += samples[first + tap] * weights[row + tap];
            }
            return sum;
        }
    }
}
