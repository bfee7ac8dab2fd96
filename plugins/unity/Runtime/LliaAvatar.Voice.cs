using Llia.Core;
using UnityEngine;

namespace Llia
{
    // Plays the voice and tells the pictures which moment is heard.
    public sealed partial class LliaAvatar
    {
        private VoiceOutput m_voiceOutput;

        /// <summary>The playhead that pictures are shown for; infinity while no voice plays.</summary>
        private double Playhead(AvatarSession session)
        {
            var voice = session.Voice;
            double playhead;
            if (voice == null || !voice.Clock.TryGetPlayhead(out playhead))
            {
                return double.PositiveInfinity;
            }
            return playhead - m_pictureDelayMs * 16.0; // 16 kHz
        }

        /// <summary>Sound stands still with the listener; the picture with it.</summary>
        private bool IsPaused()
        {
            return AudioListener.pause && m_playVoice && m_audioSource != null && !m_audioSource.ignoreListenerPause;
        }

        /// <summary>Makes, changes or removes what plays the voice, as the inspector and Unity's output want it.</summary>
        private void FollowVoice()
        {
            if (!m_playVoice)
            {
                ReleaseVoice();
                return;
            }
            if (m_voiceOutput == null)
            {
                if (m_audioSource == null)
                {
                    m_audioSource = GetComponent<AudioSource>();
                }
                if (m_audioSource == null)
                {
                    m_audioSource = gameObject.AddComponent<AudioSource>();
                }
                m_voiceOutput = VoiceOutput.On(m_audioSource);
            }
            var rateHz = AudioSettings.outputSampleRate;
            var voice = m_session.Voice;
            if (voice == null || voice.OutputRateHz != rateHz)
            {
                voice = new VoicePlayer(rateHz, m_voiceDelayMs);
                m_session.Voice = voice;
            }
            int blockSamples, blocks;
            AudioSettings.GetDSPBufferSize(out blockSamples, out blocks);
            // The block that is asked for now is heard when those before it have been.
            voice.DeviceMs = (blocks - 1) * blockSamples * 1000.0 / rateHz;
            m_voiceOutput.Voice = voice;
            m_voiceOutput.KeepPlaying();
        }

        private void ReleaseVoice()
        {
            if (m_session != null)
            {
                m_session.Voice = null;
            }
            if (m_voiceOutput != null)
            {
                m_voiceOutput.Release();
                m_voiceOutput = null;
            }
        }
    }
}
