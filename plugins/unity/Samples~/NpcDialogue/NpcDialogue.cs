using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Llia;
using Llia.Core;
using UnityEngine;
using UnityEngine.UI;

namespace LliaSamples
{
    /// <summary>
    /// A character that speaks while its speech is still being made, and falls silent when it is interrupted. Put this on an
    /// empty object of a new scene, drag clips on it, press Play. <see cref="StreamedVoice"/> stands for a text-to-speech
    /// service: put yours in its place.
    /// </summary>
    public sealed class NpcDialogue : MonoBehaviour
    {
        [SerializeField, Tooltip("Lines of the character; each is given in pieces, as a service sends them.")]
        private AudioClip[] m_lines = new AudioClip[0];

        [SerializeField, Tooltip("What is said, for the subtitles; one for each line.")]
        private string[] m_texts = new string[0];

        private LliaAvatar m_avatar;
        private CancellationTokenSource m_speech;
        private string m_subtitle = "";
        private int m_next;

        private void Start()
        {
            if (Camera.main == null)
            {
                new GameObject("Main Camera", typeof(Camera), typeof(AudioListener)).tag = "MainCamera";
            }
            var canvas = new GameObject("Canvas", typeof(Canvas)).GetComponent<Canvas>();
            canvas.renderMode = RenderMode.ScreenSpaceOverlay;
            var image = new GameObject("Character", typeof(RectTransform), typeof(RawImage)).GetComponent<RawImage>();
            image.transform.SetParent(canvas.transform, false);
            image.rectTransform.sizeDelta = new Vector2(384, 384);
            m_avatar = image.gameObject.AddComponent<LliaAvatar>();
            m_avatar.RawImage = image;
            m_avatar.SpeakingEnded += (id, how) => m_subtitle = how == SpeechEnd.Cancelled ? "(interrupted)" : "";
        }

        private void OnGUI()
        {
            GUILayout.Label(m_avatar.IsOpen ? m_avatar.State.ToString() : m_avatar.Problem);
            GUILayout.Label(m_subtitle);
            if (GUILayout.Button("Next line") && m_lines.Length > 0)
            {
                Say(m_next++ % m_lines.Length);
            }
            if (GUILayout.Button("Interrupt"))
            {
                Interrupt();
            }
        }

        private void OnDisable()
        {
            Interrupt();
        }

        private void Interrupt()
        {
            if (m_speech != null)
            {
                m_speech.Cancel(); // the service makes no more
                m_speech = null;
            }
            m_avatar.Stop(); // and what it has made is not said
        }

        private async void Say(int line)
        {
            Interrupt();
            var mine = m_speech = new CancellationTokenSource();
            m_subtitle = line < m_texts.Length ? m_texts[line] : "";
            try
            {
                foreach (var piece in StreamedVoice.Speak(m_lines[line], mine.Token))
                {
                    var samples = await piece;
                    var given = 0;
                    while (given < samples.Length && !mine.IsCancellationRequested)
                    {
                        var rest = given == 0 ? samples : Rest(samples, given);
                        given += m_avatar.Push(rest, m_lines[line].frequency, m_lines[line].channels);
                        if (given < samples.Length)
                        {
                            await Task.Delay(100, mine.Token); // too much waits already
                        }
                    }
                }
                m_avatar.EndPush();
            }
            catch (OperationCanceledException)
            {
                // Interrupted.
            }
        }

        private static float[] Rest(float[] samples, int from)
        {
            var rest = new float[samples.Length - from];
            Array.Copy(samples, from, rest, 0, rest.Length);
            return rest;
        }
    }

    /// <summary>Gives a clip's samples in pieces with pauses, as a streaming text-to-speech service does.</summary>
    public static class StreamedVoice
    {
        private const int PieceMs = 120;
        private const int PauseMs = 60;

        public static IEnumerable<Task<float[]>> Speak(AudioClip clip, CancellationToken cancellation)
        {
            var all = new float[clip.samples * clip.channels];
            clip.GetData(all, 0);
            var most = clip.frequency * PieceMs / 1000 * clip.channels;
            for (var start = 0; start < all.Length; start += most)
            {
                var piece = new float[Math.Min(most, all.Length - start)];
                Array.Copy(all, start, piece, 0, piece.Length);
                yield return Later(piece, cancellation);
            }
        }

        private static async Task<float[]> Later(float[] piece, CancellationToken cancellation)
        {
            await Task.Delay(PauseMs, cancellation);
            return piece;
        }
    }
}
