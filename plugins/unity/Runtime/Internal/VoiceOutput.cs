using System;
using System.Threading;
using Llia.Core;
using UnityEngine;

namespace Llia
{
    /// <summary>
    /// Puts a voice into an AudioSource. The source plays a clip of ones, so that what reaches the filter is its gain per
    /// channel: volume, distance, panning and mixer keep their meaning.
    /// </summary>
    [AddComponentMenu("")]
    internal sealed class VoiceOutput : MonoBehaviour
    {
        private AudioSource m_source;
        private AudioClip m_ones;
        private VoicePlayer m_voice;

        public VoicePlayer Voice
        {
            set { Volatile.Write(ref m_voice, value); }
        }

        public static VoiceOutput On(AudioSource source)
        {
            var output = source.gameObject.AddComponent<VoiceOutput>();
            output.hideFlags = HideFlags.HideAndDontSave;
            output.m_source = source;
            return output;
        }

        /// <summary>A source whose clip was changed or that was stopped by others would leave the avatar mute.</summary>
        public void KeepPlaying()
        {
            if (m_ones == null)
            {
                var rateHz = AudioSettings.outputSampleRate;
                var ones = new float[rateHz / 10];
                for (var i = 0; i < ones.Length; i++)
                {
                    ones[i] = 1f;
                }
                m_ones = AudioClip.Create("LLIA voice", ones.Length, 1, rateHz, false);
                m_ones.SetData(ones, 0);
            }
            if (m_source.clip != m_ones)
            {
                m_source.clip = m_ones;
                m_source.loop = true;
            }
            if (!m_source.isPlaying && m_source.isActiveAndEnabled)
            {
                m_source.Play();
            }
        }

        public void Release()
        {
            Voice = null;
            if (m_source != null)
            {
                m_source.Stop();
                m_source.clip = null;
            }
            if (m_ones != null)
            {
                Destroy(m_ones);
            }
            Destroy(this);
        }

        /// <summary>On the audio thread: nothing of Unity's may be touched here.</summary>
        private void OnAudioFilterRead(float[] data, int channels)
        {
            var voice = Volatile.Read(ref m_voice);
            if (voice != null)
            {
                voice.Render(data, channels);
            }
            else
            {
                Array.Clear(data, 0, data.Length);
            }
        }
    }
}
