using System.Collections.Generic;
using Llia;
using Llia.Core;
using UnityEngine;

namespace LliaSamples
{
    /// <summary>
    /// Several characters in the world, each with a face and a voice of its own, over one connection; they speak in turn and
    /// are heard from where they stand. Put this on an empty object of a new scene, drag clips on it, press Play.
    /// </summary>
    public sealed class NpcCrowd : MonoBehaviour
    {
        [SerializeField, Tooltip("One character for each.")]
        private string[] m_pictures = { "amber", "theo", "mika" };

        [SerializeField, Tooltip("What they say, in turn.")]
        private AudioClip[] m_clips = new AudioClip[0];

        [SerializeField, Tooltip("Small faces cost little; the daemon makes all of them.")]
        private int m_sizePx = 256;

        [SerializeField, Tooltip("A transparent unlit material of your pipeline; empty: the quad's own.")]
        private Material m_material;

        private readonly List<LliaAvatar> m_avatars = new List<LliaAvatar>();
        private int m_turn;

        private void Start()
        {
            if (Camera.main == null)
            {
                var made = new GameObject("Main Camera", typeof(Camera), typeof(AudioListener));
                made.tag = "MainCamera";
                made.transform.position = new Vector3(0, 0, -4);
            }
            for (var i = 0; i < m_pictures.Length; i++)
            {
                m_avatars.Add(Make(m_pictures[i], new Vector3((i - (m_pictures.Length - 1) * 0.5f) * 1.3f, 0, 0)));
            }
            SpeakNext();
        }

        private LliaAvatar Make(string picture, Vector3 place)
        {
            var quad = GameObject.CreatePrimitive(PrimitiveType.Quad);
            quad.SetActive(false);
            quad.name = picture;
            quad.transform.position = place;
            if (m_material != null)
            {
                quad.GetComponent<Renderer>().sharedMaterial = m_material;
            }
            var source = quad.AddComponent<AudioSource>();
            source.spatialBlend = 1f;
            var avatar = quad.AddComponent<LliaAvatar>();
            avatar.Picture = picture;
            avatar.SizePx = m_sizePx;
            avatar.Renderer = quad.GetComponent<Renderer>();
            avatar.AudioSource = source;
            avatar.SpeakingEnded += (id, how) =>
            {
                if (how == SpeechEnd.Finished)
                {
                    SpeakNext();
                }
            };
            quad.SetActive(true);
            return avatar;
        }

        private void SpeakNext()
        {
            if (m_clips.Length == 0 || m_avatars.Count == 0)
            {
                return;
            }
            var clip = m_clips[m_turn % m_clips.Length];
            for (var i = 0; i < m_avatars.Count; i++)
            {
                // The others look at whoever speaks.
                m_avatars[i].SetState(i == m_turn % m_avatars.Count ? AvatarState.Auto : AvatarState.Listening);
            }
            m_avatars[m_turn++ % m_avatars.Count].Speak(clip);
        }
    }
}
