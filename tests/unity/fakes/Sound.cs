// Sound; see Objects.cs about the names behind the members.
using System;
using Fakes;

namespace UnityEngine
{
    public enum AudioDataLoadState // AudioDataLoadState
    {
        Unloaded = 0, // AudioDataLoadState.Unloaded
        Loading = 1, // AudioDataLoadState.Loading
        Loaded = 2, // AudioDataLoadState.Loaded
        Failed = 3, // AudioDataLoadState.Failed
    }

    public enum AudioClipLoadType // AudioClipLoadType
    {
        DecompressOnLoad = 0, // AudioClipLoadType.DecompressOnLoad
        CompressedInMemory = 1, // AudioClipLoadType.CompressedInMemory
        Streaming = 2, // AudioClipLoadType.Streaming
    }

    public sealed class AudioClip : Object // AudioClip
    {
        internal float[] Data;
        internal bool Readable = true;

        public int samples { get; private set; } // AudioClip-samples

        public int channels { get; private set; } // AudioClip-channels

        public int frequency { get; private set; } // AudioClip-frequency

        public AudioDataLoadState loadState { get; internal set; } = AudioDataLoadState.Loaded; // AudioClip-loadState

        public AudioClipLoadType loadType { get; internal set; } // AudioClip-loadType

        public static AudioClip Create(string name, int lengthSamples, int channels, int frequency, bool stream) // AudioClip.Create
        {
            Engine.OnlyMainThread();
            return new AudioClip
            {
                name = name, samples = lengthSamples, channels = channels, frequency = frequency,
                Data = new float[lengthSamples * channels],
            };
        }

        public bool SetData(float[] data, int offsetSamples) // AudioClip.SetData
        {
            Array.Copy(data, 0, Data, offsetSamples * channels, data.Length);
            return true;
        }

        public bool GetData(float[] data, int offsetSamples) // AudioClip.GetData
        {
            Engine.OnlyMainThread();
            for (var i = 0; Readable && i < data.Length; i++)
            {
                data[i] = Data[(offsetSamples * channels + i) % Data.Length];
            }
            return Readable;
        }

        public bool LoadAudioData() // AudioClip.LoadAudioData
        {
            loadState = AudioDataLoadState.Loading;
            return true;
        }
    }

    public sealed class AudioSource : Behaviour // AudioSource
    {
        internal int Place;

        public AudioClip clip { get; set; } // AudioSource-clip

        public bool loop { get; set; } // AudioSource-loop

        public float volume { get; set; } = 1f; // AudioSource-volume

        public float spatialBlend { get; set; } // AudioSource-spatialBlend

        public bool ignoreListenerPause { get; set; } // AudioSource-ignoreListenerPause

        public bool isPlaying { get; private set; } // AudioSource-isPlaying

        public void Play() // AudioSource.Play
        {
            isPlaying = clip != null;
        }

        public void Stop() // AudioSource.Stop
        {
            isPlaying = false;
        }
    }

    public sealed class AudioListener : Behaviour // AudioListener
    {
        public static bool pause { get; set; } // AudioListener-pause
    }

    public static class AudioSettings // AudioSettings
    {
        public static int outputSampleRate { get; internal set; } = 48000; // AudioSettings-outputSampleRate

        public static void GetDSPBufferSize(out int bufferLength, out int numBuffers) // AudioSettings.GetDSPBufferSize
        {
            bufferLength = Engine.BlockSamples;
            numBuffers = 4;
        }
    }

    public static class Microphone // Microphone
    {
        internal static AudioClip Recording;
        internal static int Position;

        public static string[] devices { get; internal set; } = { "fake" }; // Microphone-devices

        public static AudioClip Start(string deviceName, bool loop, int lengthSec, int frequency) // Microphone.Start
        {
            Position = 0;
            return Recording = AudioClip.Create("Microphone", lengthSec * frequency, 1, frequency, false);
        }

        public static int GetPosition(string deviceName) // Microphone.GetPosition
        {
            return Position;
        }

        public static void End(string deviceName) // Microphone.End
        {
            Recording = null;
        }
    }
}
