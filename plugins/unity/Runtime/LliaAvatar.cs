using System;
using Llia.Core;
using UnityEngine;
using UnityEngine.Events;
using UnityEngine.UI;

namespace Llia
{
    /// <summary>
    /// A face that speaks: opens an avatar at the daemon, shows its pictures in step with its voice, tells what happens. This
    /// part has what the inspector shows; the others show, speak and hear.
    /// </summary>
    [AddComponentMenu("LLIA/LLIA Avatar")]
    [DefaultExecutionOrder(-50)]
    public sealed partial class LliaAvatar : MonoBehaviour
    {
        [SerializeField, Tooltip("The scene's connection; leave it empty to find it, or to have one made.")]
        private LliaConnection m_connection;

        [SerializeField, Tooltip("Drive the daemon's own avatar, which all its clients share, instead of opening one.")]
        private bool m_useDefaultAvatar;

        [SerializeField, Tooltip("A portrait as PNG or JPEG file: import it as TextAsset (name it portrait.png.bytes).")]
        private TextAsset m_portrait;

        [SerializeField, Tooltip("Without a portrait: an avatar of the pack (amber, theo, mika), or a picture's path on the "
            + "daemon's machine. Empty: the pack's default.")]
        private string m_picture = "";

        [SerializeField, Tooltip("A model pack by name. Empty: the daemon's.")]
        private string m_pack = "";

        [SerializeField, Tooltip("Width and height, 64 to 1024 in steps of 32. 0: the daemon's.")]
        private int m_sizePx;

        [SerializeField, Tooltip("10 to 60 frames a second. 0: the daemon's.")]
        private int m_framesPerSecond;

        [SerializeField, Tooltip("Colour is multiplied with alpha already; for materials that blend that way.")]
        private bool m_premultipliedAlpha;

        [SerializeField, Tooltip("Show it in this UI element.")]
        private RawImage m_rawImage;

        [SerializeField, Tooltip("Show it on this renderer's material.")]
        private Renderer m_renderer;

        [SerializeField, Tooltip("The material's texture property. Empty: _BaseMap (URP, HDRP's is _BaseColorMap) or _MainTex.")]
        private string m_textureProperty = "";

        [SerializeField, Tooltip("Show it in this render texture.")]
        private RenderTexture m_renderTexture;

        [SerializeField, Tooltip("Let the voice be heard in step with the pictures.")]
        private bool m_playVoice = true;

        [SerializeField, Tooltip("Plays the voice; leave it empty for the one on this object, or to have one made.")]
        private AudioSource m_audioSource;

        [SerializeField, Range(20, 300), Tooltip("Sound that waits before it is heard; more of it forgives a busier machine.")]
        private int m_voiceDelayMs = 80;

        [SerializeField, Range(-200, 200), Tooltip("Shows pictures later (positive) or earlier than the sound.")]
        private int m_pictureDelayMs;

        [SerializeField] private UnityEvent<string> m_onSpeakingStarted = new UnityEvent<string>();
        [SerializeField] private UnityEvent<string> m_onSpeakingEnded = new UnityEvent<string>();
        [SerializeField] private UnityEvent<AvatarState> m_onState = new UnityEvent<AvatarState>();
        [SerializeField] private UnityEvent<string> m_onError = new UnityEvent<string>();

        /// <summary>The first picture of an utterance is shown; with its id.</summary>
        public event Action<string> SpeakingStarted;

        /// <summary>It was shown to its end, or was dropped; with its id and how it ended.</summary>
        public event Action<string, SpeechEnd> SpeakingEnded;

        /// <summary>Speaking, listening or idle.</summary>
        public event Action<AvatarState> StateChanged;

        /// <summary>Something was refused or failed; with the daemon's code and one line for people.</summary>
        public event Action<string, string> Failed;

        /// <summary>Inspector's events; the text is the utterance's id, or of an error one line for people.</summary>
        public UnityEvent<string> OnSpeakingStarted
        {
            get { return m_onSpeakingStarted; }
        }

        public UnityEvent<string> OnSpeakingEnded
        {
            get { return m_onSpeakingEnded; }
        }

        public UnityEvent<AvatarState> OnState
        {
            get { return m_onState; }
        }

        public UnityEvent<string> OnError
        {
            get { return m_onError; }
        }

        // What the avatar is made of takes effect when the component is enabled the next time.

        public LliaConnection Connection
        {
            get { return m_connection; }
            set { m_connection = value; }
        }

        public bool UseDefaultAvatar
        {
            get { return m_useDefaultAvatar; }
            set { m_useDefaultAvatar = value; }
        }

        public TextAsset Portrait
        {
            get { return m_portrait; }
            set { m_portrait = value; }
        }

        public string Picture
        {
            get { return m_picture; }
            set { m_picture = value; }
        }

        public string Pack
        {
            get { return m_pack; }
            set { m_pack = value; }
        }

        public int SizePx
        {
            get { return m_sizePx; }
            set { m_sizePx = value; }
        }

        public int FramesPerSecond
        {
            get { return m_framesPerSecond; }
            set { m_framesPerSecond = value; }
        }

        public bool PremultipliedAlpha
        {
            get { return m_premultipliedAlpha; }
            set { m_premultipliedAlpha = value; }
        }

        public bool PlayVoice
        {
            get { return m_playVoice; }
            set { m_playVoice = value; }
        }

        public AudioSource AudioSource
        {
            get { return m_audioSource; }
            set { m_audioSource = value; }
        }

        public int VoiceDelayMs
        {
            get { return m_voiceDelayMs; }
            set { m_voiceDelayMs = value; }
        }

        // Where it is shown takes effect with the next picture.

        public RawImage RawImage
        {
            get { return m_rawImage; }
            set { m_rawImage = value; }
        }

        public Renderer Renderer
        {
            get { return m_renderer; }
            set { m_renderer = value; }
        }

        public string TextureProperty
        {
            get { return m_textureProperty; }
            set { m_textureProperty = value; }
        }

        public RenderTexture RenderTexture
        {
            get { return m_renderTexture; }
            set { m_renderTexture = value; }
        }

        public int PictureDelayMs
        {
            get { return m_pictureDelayMs; }
            set { m_pictureDelayMs = value; }
        }
    }
}
