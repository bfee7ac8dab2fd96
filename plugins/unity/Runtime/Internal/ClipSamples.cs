using Llia.Core;
using UnityEngine;

namespace Llia
{
    /// <summary>The samples of a clip.</summary>
    internal static class ClipSamples
    {
        /// <summary>Mono, -1..1; null with the problem where the clip has none to give.</summary>
        public static float[] Read(AudioClip clip, out string problem)
        {
            problem = "";
            if (clip == null)
            {
                problem = "the clip was destroyed before it was spoken";
                return null;
            }
            var interleaved = new float[clip.samples * clip.channels];
            if (interleaved.Length == 0)
            {
                problem = "'" + clip.name + "' has no samples";
                return null;
            }
            if (clip.loadType == AudioClipLoadType.Streaming || !clip.GetData(interleaved, 0))
            {
                problem = "the samples of '" + clip.name + "' cannot be read; set its Load Type to Decompress On Load "
                    + "(import settings), or play it through a LLIA Audio Tap";
                return null;
            }
            if (clip.channels == 1)
            {
                return interleaved;
            }
            var mono = new float[clip.samples];
            Downmix.Average(interleaved, interleaved.Length, clip.channels, mono);
            return mono;
        }
    }
}
