using System;
using System.Threading;

namespace Llia.Core
{
    /// <summary>
    /// Plays an avatar's voice: the echo, or the utterance's own samples where they are here. It begins a small delay
    /// after the newest sound that has arrived and keeps it: the delay grows when sound comes late, and the rate bends by
    /// a few per mille where the daemon's clock and the sound card's drift apart.
    /// </summary>
    /// <remarks><see cref="Render"/> belongs to the audio thread and neither locks nor allocates.</remarks>
    public sealed class VoicePlayer
    {
        private const int MostOwnVoices = 64;
        private const double LongestDelayMs = 400;
        private const double DelayStepMs = 20;
        private const double DelayShrinksMsPerS = 0.5;
        private const double TooFarBehindMs = 300;
        private const double FadeMs = 5;
        private const double MostBend = 0.004;
        private const double BendPerSecondOfError = 0.05;

        private readonly JitterBuffer m_echo = new JitterBuffer();
        private readonly OwnVoice[] m_own = new OwnVoice[MostOwnVoices];
        private readonly PlayoutClock m_clock = new PlayoutClock();
        private readonly Sinc m_sinc;
        private readonly int m_outputRateHz;
        private readonly double m_shortestDelayMs;
        private double m_delayMs;
        private double m_deviceMs;
        private double m_playhead;
        private double m_meanAhead;
        private int m_generation;
        private bool m_playing;
        private bool m_started;
        private float m_gain;
        private OwnVoice m_voice;
        private OwnVoice m_nextVoice;
        private double m_fading;
        private float m_fadingGain;
        private long m_underruns;
        private long m_skippedSamples;

        /// <param name="outputRateHz">Rate at which <see cref="Render"/> is called for samples.</param>
        /// <param name="delayMs">Sound that waits before it is heard, so that a late piece does not interrupt it. A piece is
        /// as long as a frame: 40 ms at 25 frames a second.</param>
        public VoicePlayer(int outputRateHz, double delayMs)
        {
            m_outputRateHz = outputRateHz;
            m_sinc = new Sinc(JitterBuffer.RateHz, outputRateHz);
            m_shortestDelayMs = Math.Min(Math.Max(delayMs, 10), LongestDelayMs);
            m_delayMs = m_shortestDelayMs;
        }

        public int OutputRateHz
        {
            get { return m_outputRateHz; }
        }

        public PlayoutClock Clock
        {
            get { return m_clock; }
        }

        /// <summary>Time from the hand-over of a block to its sound in the room; pictures wait for it.</summary>
        public double DeviceMs
        {
            get { return m_deviceMs; }
            set { m_deviceMs = value; }
        }

        /// <summary>Sound that waits at the moment.</summary>
        public double DelayMs
        {
            get { return m_delayMs; }
        }

        /// <summary>Times that sound came too late and it was silent instead.</summary>
        public long Underruns
        {
            get { return Interlocked.Read(ref m_underruns); }
        }

        /// <summary>Sound that was never played because the player had fallen behind, as after a pause of the game.</summary>
        public double SkippedMs
        {
            get { return Interlocked.Read(ref m_skippedSamples) * 1000.0 / JitterBuffer.RateHz; }
        }

        internal JitterBuffer Echo
        {
            get { return m_echo; }
        }

        /// <summary>Plays this utterance from its own samples; false where too many wait: it is played from the echo.</summary>
        internal bool Add(OwnVoice voice)
        {
            for (var i = 0; i < m_own.Length; i++)
            {
                if (Interlocked.CompareExchange(ref m_own[i], voice, null) == null)
                {
                    return true;
                }
            }
            return false;
        }

        internal void StartOwn(string utteranceId, long ptsSamples)
        {
            for (var i = 0; i < m_own.Length; i++)
            {
                var voice = Volatile.Read(ref m_own[i]);
                if (voice != null && voice.UtteranceId == utteranceId)
                {
                    voice.StartAt(ptsSamples);
                }
            }
        }

        /// <summary>Barge-in: nothing that waits is heard any more.</summary>
        internal void Flush()
        {
            Interrupt();
            for (var i = 0; i < m_own.Length; i++)
            {
                Volatile.Write(ref m_own[i], null);
            }
        }

        /// <summary>The avatar is gone; utterances that it has not begun are said by the next one.</summary>
        internal void Interrupt()
        {
            m_echo.Flush();
            for (var i = 0; i < m_own.Length; i++)
            {
                var voice = Volatile.Read(ref m_own[i]);
                if (voice != null && voice.IsStarted)
                {
                    Interlocked.CompareExchange(ref m_own[i], null, voice);
                }
            }
        }

        /// <summary>
        /// Multiplies the block with the voice. The source plays a clip of ones, so that what arrives here is the gain of
        /// each channel after volume, distance and panning.
        /// </summary>
        /// <param name="data">Interleaved channels, -1..1.</param>
        public void Render(float[] data, int channels)
        {
            var frames = data.Length / channels;
            Steer(frames);
            ChooseVoices(frames);
            var step = (double)JitterBuffer.RateHz / m_outputRateHz * (m_playing ? Bend() : 1.0);
            var fade = (float)(1000.0 / FadeMs / m_outputRateHz);
            var last = m_echo.End - Sinc.SamplesAfter;
            // The block's first sample is heard when what the device holds has been.
            m_clock.Tell(m_playhead - m_deviceMs * JitterBuffer.RateHz / 1000, m_playing);
            for (var i = 0; i < frames; i++)
            {
                var on = m_playing && m_playhead <= last;
                m_gain = on ? Math.Min(1f, m_gain + fade) : Math.Max(0f, m_gain - fade);
                var sample = on ? m_gain * Voice(m_playhead) : 0f;
                if (m_fadingGain > 0)
                {
                    sample += m_fadingGain * m_echo.At(m_fading, m_sinc);
                    m_fadingGain -= fade;
                    m_fading += step;
                }
                for (var channel = 0; channel < channels; channel++)
                {
                    data[i * channels + channel] *= sample;
                }
                if (on)
                {
                    m_playhead += step;
                }
                else if (m_playing)
                {
                    m_playing = false;
                    m_delayMs = Math.Min(m_delayMs + DelayStepMs, LongestDelayMs);
                    Interlocked.Increment(ref m_underruns);
                }
            }
        }

        private float Voice(double playhead)
        {
            if (m_voice != null && m_voice.Covers(playhead))
            {
                return m_voice.At(playhead);
            }
            if (m_nextVoice != null && m_nextVoice.Covers(playhead))
            {
                return m_nextVoice.At(playhead);
            }
            return m_echo.At(playhead, m_sinc);
        }

        /// <summary>Finds the utterances of our own that are heard in this block: one at its beginning, one at its end.</summary>
        private void ChooseVoices(int frames)
        {
            var blockEnd = m_playhead + (double)frames * JitterBuffer.RateHz / m_outputRateHz;
            m_voice = m_nextVoice = null;
            for (var i = 0; i < m_own.Length; i++)
            {
                var voice = Volatile.Read(ref m_own[i]);
                if (voice == null)
                {
                    continue;
                }
                if (voice.IsOver(m_playhead))
                {
                    Interlocked.CompareExchange(ref m_own[i], null, voice);
                }
                else if (voice.Covers(m_playhead))
                {
                    m_voice = voice;
                }
                else if (voice.Covers(blockEnd))
                {
                    m_nextVoice = voice;
                }
            }
        }

        /// <summary>Decides whether this block plays, and from where.</summary>
        private void Steer(int frames)
        {
            var generation = m_echo.Generation;
            if (generation != m_generation)
            {
                m_generation = generation;
                // What was heard fades out within a few milliseconds: cut off hard it would click.
                m_fadingGain = m_playing ? m_gain : 0f;
                m_fading = m_playhead;
                m_playing = m_started = false;
                m_gain = 0f;
            }
            var end = m_echo.End;
            if (end < 0)
            {
                return;
            }
            var delay = m_delayMs * JitterBuffer.RateHz / 1000;
            if (!m_started)
            {
                // Sound from before the first piece is silence; begin so that the delay is there from now on.
                m_started = true;
                m_playhead = end - delay;
                m_playing = true;
                m_meanAhead = delay;
            }
            var ahead = end - m_playhead;
            if (!m_playing && ahead >= delay)
            {
                m_playing = true;
                m_meanAhead = delay;
            }
            if (ahead > delay + TooFarBehindMs * JitterBuffer.RateHz / 1000)
            {
                Interlocked.Add(ref m_skippedSamples, (long)(ahead - delay));
                m_playhead = end - delay;
                m_meanAhead = delay;
            }
            else if (m_playing)
            {
                var seconds = (double)frames / m_outputRateHz;
                m_meanAhead += (ahead - m_meanAhead) * Math.Min(1.0, seconds / 2);
                m_delayMs = Math.Max(m_shortestDelayMs, m_delayMs - DelayShrinksMsPerS * seconds);
            }
        }

        /// <summary>How much faster than real time to play so that the delay stays what it should be.</summary>
        private double Bend()
        {
            var errorS = (m_meanAhead - m_delayMs * JitterBuffer.RateHz / 1000) / JitterBuffer.RateHz;
            return 1 + Math.Min(Math.Max(errorS * BendPerSecondOfError, -MostBend), MostBend);
        }
    }
}
